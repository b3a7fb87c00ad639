"""The settings of one cluster: the account, and where each kind of job runs."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from diffattr.config import ConfigError, Positive, Section, check, typed
from diffattr.plan.work import Kind, kind_of


class Place(Section, frozen=True):
    """Where a kind of job runs."""

    partition: str | None = None
    constraint: str | None = None
    qos: str | None = None
    max_minutes: Positive | None = None
    sbatch: str | None = None


class Site(Section, frozen=True):
    """One cluster; `profiles/slurm/site.example.yaml` explains the keys."""

    account: str | None = None
    network: Place = Place()
    matrix: Place = Place()
    other: Place = Place()
    # Part of a shell command, so it must not have special characters.
    modules: tuple[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/@-]*(?![\s\S])")], ...
    ] = ()
    container: str | None = None

    def place(self, kind: Kind) -> Place:
        """Return where jobs of a kind run."""
        return {"network": self.network, "matrix": self.matrix}.get(kind, self.other)


def read_site(path: str | Path) -> Site:
    """Return the site of a file, an empty one if the file does not exist.

    Raises:
        ConfigError: the file is not a site; one line per error.
    """
    if not Path(path).exists():
        return Site()
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    raw = {} if raw is None else raw
    check(raw, msgspec.json.schema(Site), str(path))
    return typed(raw, Site, str(path))


def placement(rule: str, n_gpus: int, site: Site) -> dict[str, Any]:
    """Return the resources that all jobs of a rule share: GPUs, and where they run."""
    kind = kind_of(rule)
    place = site.place(kind)
    resources = {
        "gpu": n_gpus if kind == "network" else None,
        "slurm_account": site.account,
        "slurm_partition": place.partition,
        "constraint": place.constraint,
        "qos": place.qos,
        "slurm_extra": place.sbatch,
    }
    return {name: value for name, value in resources.items() if value is not None}

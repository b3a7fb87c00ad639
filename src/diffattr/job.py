"""The frame of every job: it logs, checks inputs, reports errors and writes provenance.

A job receives Snakemake's object of a script: `rule`, `input`, `output`, `wildcards`,
`params.config` (one JSON string), `log`, `threads` and `resources`.
"""

import contextlib
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from diffattr import artifacts
from diffattr.artifacts import ArtifactError
from diffattr.config import ConfigError
from diffattr.data.source import DataError
from diffattr.plugins import PluginError

T = TypeVar("T")

_PACKAGES = (
    "diffattr",
    "torch",
    "diffusers",
    "numpy",
    "pillow",
    "scipy",
    "scikit-learn",
    "zarr",
    "snakemake",
)
# Errors that a user can fix are shown as a sentence. Others are defects; the log has a traceback.
_FOR_PEOPLE = (ConfigError, ArtifactError, DataError, PluginError, OSError, MemoryError)


class Job:
    """The running job."""

    def __init__(self, snakemake: Any):
        self.rule: str = snakemake.rule
        self.input = snakemake.input
        self.output = snakemake.output
        self.wildcards = snakemake.wildcards
        self.config: dict[str, Any] = json.loads(snakemake.params.config)
        self.threads: int = snakemake.threads
        self.checksums: dict[str, str] = {}
        self.device = "cuda" if snakemake.resources.get("gpu", 0) else "cpu"
        self.batch_size: int = snakemake.resources.get("batch_size", 128)
        self.save_state_every_s: float = snakemake.resources.get("save_state_every_s", 60)

    def section(self, name: str, kind: type[T]) -> T:
        """Return one section of the config values that this job depends on."""
        return msgspec.convert(self.config[name], kind)

    def array(self, name: str, chosen: Any = slice(None)) -> Any:
        """Return some rows of an array, None for a job without it.

        `labels` (int64) are for text-conditioned networks; `mirrored` are the flipped training
        images where flipping the array is not enough.
        """
        path = self.input.get(name)
        return None if path is None else artifacts.read_array(path)[chosen]


@contextlib.contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run the block as one job.

    Its output goes to the rule's log. Inputs are first checked against their checksums; a damaged
    one is set aside, so that the next run rebuilds it alone. After an error there is one sentence
    on the terminal, the traceback in the log and exit status 1. On success, the provenance of every
    output is written.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with (
        log.open("w", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        logging.basicConfig(stream=file, force=True)
        try:
            this = Job(snakemake)
            for path in this.output:
                artifacts.remove_stale_temporaries(path)
            this.checksums = _checked_inputs(this)
            yield this
            _write_provenance(this, started, time.perf_counter() - clock)
        except Exception as error:
            traceback.print_exc(file=file)
            text = str(error) if isinstance(error, _FOR_PEOPLE) else repr(error)
            print(f"ERROR in {snakemake.rule}: {text}\n  (log: {log})", file=terminal)
            sys.exit(1)


def _checked_inputs(this: Job) -> dict[str, str]:
    """Return the SHA-256 of every input; raises ArtifactError if it is not the recorded one."""
    digests = {}
    for path in dict.fromkeys(this.input):
        if not artifacts.provenance_path(path).exists():
            digests[path] = artifacts.checksum(path)["sha256"]
        elif problem := artifacts.damage(path):
            aside = artifacts.set_aside(path)
            raise ArtifactError(
                f"{path}: {problem}. It was moved to {aside.name}; run snakemake again to rebuild"
                " it alone"
            )
        else:
            digests[path] = artifacts.read_provenance(path)["checksum"]["sha256"]
    return digests


def _write_provenance(this: Job, started: datetime, seconds: float) -> None:
    record = {
        "rule": this.rule,
        "wildcards": dict(this.wildcards.items()),
        "config": this.config,
        "inputs": this.checksums,
        "started": started.isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "threads": this.threads,
        "device": this.device,
        "host": host(),
        "versions": versions(),
        "commit": commit(),
    }
    for path in this.output:
        sidecar = artifacts.provenance_path(path)
        found = artifacts.checksum(path)
        before: dict[str, Any] = {}
        with contextlib.suppress(ArtifactError):  # the first run, or its provenance is damaged
            before = artifacts.read_provenance(path)
        if before.get("checksum") == found and "written_ns" in before:
            # Rebuilt with the same bytes: keep the time stamp, unless an input is newer.
            newest = max((os.stat(p).st_mtime_ns for p in this.input), default=0)
            stamp = max(before["written_ns"], newest)
            os.utime(path, ns=(stamp, stamp))
        written = os.stat(path).st_mtime_ns
        artifacts.write_json(sidecar, {**record, "checksum": found, "written_ns": written})


def host() -> dict[str, Any]:
    """Return a description of this machine, without its name."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    """Return the versions of the packages that affect numbers."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit() -> str | None:
    """Return the commit of the package's checkout, with `+` if there are uncommitted changes."""
    command = "git describe --always --abbrev=12 --dirty=+ --exclude=*"
    described = subprocess.run(
        command.split(), cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or None

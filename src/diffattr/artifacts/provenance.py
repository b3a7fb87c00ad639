"""The provenance of artifacts, and whether they are still as they were written."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from diffattr.artifacts.atomic import files_below
from diffattr.artifacts.formats import ArtifactError, read_json

PROVENANCE_SUFFIX = ".provenance.json"


def checksum(path: str | Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file, or of a directory's names and files.

    Raises:
        FileNotFoundError: the path does not exist.
    """
    path = Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
    members = {str(file.relative_to(path)): checksum(file) for file in files_below(path)}
    text = json.dumps(members, sort_keys=True)
    return {
        "bytes": sum(member["bytes"] for member in members.values()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def provenance_path(path: str | Path) -> Path:
    """Return the path of an artifact's sidecar."""
    return Path(f"{path}{PROVENANCE_SUFFIX}")


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Return the provenance of an artifact.

    Raises:
        ArtifactError: the sidecar is missing or damaged.
    """
    record = read_json(provenance_path(path))
    if not isinstance(record, dict):
        raise ArtifactError(f"{provenance_path(path)}: holds no provenance; rebuild {path}")
    return record


def damage(path: str | Path) -> str | None:
    """Return how an artifact differs from its recorded checksum, None if it does not."""
    path = Path(path)
    if not provenance_path(path).exists():
        return "has no provenance" if path.exists() else "does not exist"
    if not path.exists():
        return "is missing, but its provenance exists"
    try:
        recorded = read_provenance(path)["checksum"]
        n_bytes, sha256 = recorded["bytes"], recorded["sha256"]
    except (ArtifactError, KeyError, TypeError):
        return "has a damaged provenance"
    found = checksum(path)
    if recorded == found:
        return None
    return (
        f"is damaged: found {found['bytes']} bytes with SHA-256 {found['sha256'][:12]}…, expected"
        f" {n_bytes} bytes with {sha256[:12]}…"
    )


def damaged(root: str | Path, not_kept: Sequence[str] = ()) -> dict[Path, str]:
    """Return every damaged or missing artifact below `root`, with its problem.

    `not_kept` are patterns of relative paths that may be missing; `*` matches anything.
    """
    problems = {}
    for sidecar in sorted(Path(root).rglob(f"*{PROVENANCE_SUFFIX}")):
        path = sidecar.with_name(sidecar.name.removesuffix(PROVENANCE_SUFFIX))
        name = path.relative_to(root).as_posix()
        if not path.exists() and any(fnmatch(name, pattern) for pattern in not_kept):
            continue
        if problem := damage(path):
            problems[path] = problem
    return problems


def set_aside(path: str | Path) -> Path:
    """Rename a damaged artifact, so that the next run rebuilds it alone."""
    path = Path(path)
    aside = path.with_name(path.name + ".damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)
    return aside

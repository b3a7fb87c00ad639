"""Writing that is whole or not done at all, and the places for what is not an artifact yet."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

# Snakemake writes it into directory outputs.
_TIMESTAMP = ".snakemake_timestamp"


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it into place.

    Works for a file and for a directory; after an error nothing is left of either.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.parent / f".{path.name}.tmp-{unique}"
    try:
        yield temporary
        for file in [temporary, *files_below(temporary)] if temporary.is_dir() else [temporary]:
            _flush(file)
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_below(directory: Path) -> list[Path]:
    """Return a directory's files, sorted, without the time stamp that Snakemake leaves there."""
    found = (file for file in directory.rglob("*") if file.is_file())
    return sorted(file for file in found if file.name != _TIMESTAMP)


@contextlib.contextmanager
def scratch(path: str | Path) -> Iterator[Path]:
    """Yield the place beside an output for the state to resume from; delete it on success.

    Snakemake deletes declared outputs before a job starts, so the state cannot lie in one.
    """
    path = Path(path)
    directory = path.with_name(f".{path.name}.partial")
    directory.mkdir(parents=True, exist_ok=True)
    yield directory
    shutil.rmtree(directory)


def remove_stale_temporaries(path: str | Path) -> None:
    """Delete what killed jobs on this host left half-written beside `path`."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.tmp-{socket.gethostname()}-*"):
        pid = int(leftover.name.rsplit("-", 2)[1])
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)

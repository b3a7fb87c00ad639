"""Atomic writes, and places for files that are not artifacts yet."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

# Snakemake writes this file into directory outputs.
_TIMESTAMP = ".snakemake_timestamp"


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success, flush it and rename it to `path`.

    It may become a file or a directory; after an error it is deleted.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.parent / f".{path.name}.tmp-{unique}"
    try:
        yield temporary
        for file in [temporary, *files_below(temporary)]:
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
    """Return all files below a directory, sorted, except Snakemake's time stamp."""
    found = (file for file in directory.rglob("*") if file.is_file())
    return sorted(file for file in found if file.name != _TIMESTAMP)


@contextlib.contextmanager
def scratch(path: str | Path) -> Iterator[Path]:
    """Yield a directory beside an output for the state to resume from; delete it on success.

    Snakemake deletes declared outputs before a job starts, so the state cannot be part of one.
    """
    path = Path(path)
    directory = path.with_name(f".{path.name}.partial")
    directory.mkdir(parents=True, exist_ok=True)
    yield directory
    shutil.rmtree(directory)


def remove_stale_temporaries(path: str | Path) -> None:
    """Delete the temporary files of `path` that killed jobs on this host left behind."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.name}.tmp-{socket.gethostname()}-*"):
        pid = int(leftover.name.rsplit("-", 2)[1])
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)

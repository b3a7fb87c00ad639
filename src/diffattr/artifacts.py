"""The only reader and writer of files.

An artifact appears whole or not at all: it is written beside its place, flushed to the disk and
renamed. Its bytes are a pure function of what the config says, so that making it again gives the
same file; what differs between two runs (time, host, versions) stands in a sidecar,
`<artifact>.provenance.json`, together with the artifact's checksum.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

T = TypeVar("T")

PROVENANCE_SUFFIX = ".provenance.json"
# Written into directory outputs by Snakemake itself.
_FOREIGN = {".snakemake_timestamp"}


class ArtifactError(ValueError):
    """A file is missing, damaged, or not what its reader expects."""


@dataclass(frozen=True)
class Arrays:
    """Named arrays with their attributes, as read from one store."""

    path: Path
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any]

    def attribute(self, name: str) -> Any:
        """Return an attribute.

        Raises:
            ArtifactError: the store has none of this name.
        """
        if name not in self.attributes:
            raise ArtifactError(
                f"{self.path}: has no attribute {name!r}; remake it: snakemake --force {self.path}"
            )
        return self.attributes[name]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise ArtifactError(
                f"{self.path}: has no array {name!r}, only {', '.join(sorted(self.arrays))};"
                f" remake it: snakemake --force {self.path}"
            )
        return self.arrays[name]


@contextlib.contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it into place.

    Works for a file and for a directory; after an error nothing is left of either.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    temporary = path.parent / f".{path.name}.tmp-{unique}"
    try:
        yield temporary
        for file in [temporary, *_files(temporary)] if temporary.is_dir() else [temporary]:
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


def _files(directory: Path) -> list[Path]:
    found = (file for file in directory.rglob("*") if file.is_file())
    return sorted(file for file in found if file.name not in _FOREIGN)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON; NaN is refused, since it is not JSON."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file."""
    with readable(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_struct(path: str | Path, kind: type[T]) -> T:
    """Return the content of a JSON file as a value of a type: a `msgspec.Struct`, a list of them.

    Raises:
        ArtifactError: the file is missing, is not JSON, or does not fit the type.
    """
    with readable(path, "JSON"):
        return msgspec.json.decode(Path(path).read_bytes(), type=kind)


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Write one array as `.npy`."""
    with beside(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)


def write_rows(path: str | Path, n_rows: int, chunks: Iterable[np.ndarray]) -> None:
    """Write one array of `n_rows` rows as `.npy`, of which a chunk at a time is in memory.

    Raises:
        ValueError: the chunks have more rows, or fewer.
    """
    written = 0
    with beside(path) as temporary, temporary.open("wb") as file:
        for number, chunk in enumerate(chunks):
            rows = np.asarray(chunk, order="C")
            if number == 0:
                header = np.lib.format.header_data_from_array_1_0(rows)
                whole = {**header, "shape": (n_rows, *rows.shape[1:])}
                np.lib.format.write_array_header_1_0(file, whole)
            file.write(rows.data)
            written += len(rows)
        if written != n_rows:
            raise ValueError(f"{path}: {written} rows were made, {n_rows} expected")


def read_array(path: str | Path, *, mmap: bool = False) -> np.ndarray:
    """Return an array from `.npy`; `mmap` reads only what is touched."""
    with readable(path, ".npy array"):
        array = np.load(path, allow_pickle=False, mmap_mode="r" if mmap else None)
        if not isinstance(array, np.ndarray):
            raise ValueError("holds several arrays")
        return array


def write_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write named arrays and JSON attributes as one zarr v3 store in one zip file.

    One file, since Snakemake sees only a time stamp of a directory and zarr reads a lost chunk as
    zeros; one chunk per array, since readers take whole arrays. The zip's own time stamps are
    constant, so that equal content gives equal bytes.
    """
    import zarr
    from zarr.storage import MemoryStore

    memory: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(memory), attributes=dict(attributes))
    for name, array in arrays.items():
        # A chunk of zeros is written too: a reader can then tell a lost chunk, which zarr reads as
        # zeros, from one that holds them.
        config: Any = {"write_empty_chunks": True}
        data = np.asarray(array, order="C")
        group.create_array(name, data=data, compressors=None, config=config)
    with beside(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key in sorted(memory):
            archive.writestr(zipfile.ZipInfo(key, (1980, 1, 1, 0, 0, 0)), memory[key].to_bytes())


def read_arrays(path: str | Path) -> Arrays:
    """Return all arrays and attributes of one store."""
    import zarr
    from zarr.storage import ZipStore

    with readable(path, "zarr store"), zipfile.ZipFile(path) as archive:
        # Compares every member's name and checksum.
        if (damaged_member := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{damaged_member} is damaged")
        members = archive.namelist()
    with readable(path, "zarr store"), ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        arrays = {}
        for name, member in group.arrays():
            # zarr's own count takes chunks of `mean-squared-l2-norm` for some of `mean`, and fails.
            n_found = sum(f"{key}/".startswith(f"{name}/c/") for key in members)
            if n_found != member.nchunks:
                raise ValueError(f"{name}: {member.nchunks - n_found} chunks lost")
            arrays[name] = np.asarray(member[...])
        return Arrays(Path(path), arrays, dict(group.attrs))


@contextlib.contextmanager
def readable(path: str | Path, kind: str, remake: str | Path | None = None) -> Iterator[None]:
    """Turn whatever a parser raises inside the block into one sentence about the file.

    A file may be anything, and the parsers beneath (numpy, zarr, zipfile, safetensors, diffusers)
    raise nearly anything on a bad one, MemoryError and RecursionError included.

    Raises:
        ArtifactError: says what is wrong and what remakes the file (`remake`, or itself).
    """
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        remedy = f"make it: snakemake --force {remake or path}"
        if not Path(path).exists():
            raise ArtifactError(f"{path}: does not exist; {remedy}") from error
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: is not a readable {kind} ({reason}); re{remedy}") from error


def as_list(paths: Any) -> list[str]:
    """Return a list, whether one path or several were named."""
    return [paths] if isinstance(paths, str) else list(paths)


def checksum(path: str | Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file, or of a directory's names and files."""
    path = Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
    members = {str(file.relative_to(path)): checksum(file) for file in _files(path)}
    text = json.dumps(members, sort_keys=True)
    return {
        "bytes": sum(member["bytes"] for member in members.values()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def provenance_path(path: str | Path) -> Path:
    """Return where the sidecar of an artifact lies."""
    return Path(f"{path}{PROVENANCE_SUFFIX}")


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Return what made an artifact.

    Raises:
        ArtifactError: the sidecar is missing or damaged.
    """
    record = read_json(provenance_path(path))
    if not isinstance(record, dict):
        raise ArtifactError(f"{provenance_path(path)}: holds no provenance; remake {path}")
    return record


def damage(path: str | Path) -> str | None:
    """Return what is wrong with an artifact according to its recorded checksum, or None."""
    path = Path(path)
    if not provenance_path(path).exists():
        return "has no provenance beside it" if path.exists() else "does not exist"
    if not path.exists():
        return "is missing, though its provenance is there"
    try:
        recorded = read_provenance(path)["checksum"]
        n_bytes, sha256 = recorded["bytes"], recorded["sha256"]
    except (ArtifactError, KeyError, TypeError):
        return "has a damaged provenance beside it"
    found = checksum(path)
    if recorded == found:
        return None
    return (
        f"is damaged: {found['bytes']} bytes with SHA-256 {found['sha256'][:12]}…,"
        f" {n_bytes} bytes with {sha256[:12]}… were written"
    )


def damaged(root: str | Path, not_kept: Sequence[str] = ()) -> dict[Path, str]:
    """Return every artifact below `root` that is damaged or missing, with what is wrong.

    `not_kept` are patterns of paths below it that may be missing; `*` matches anything.
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
    """Move a damaged artifact out of its place, so that the next run remakes it alone."""
    path = Path(path)
    aside = path.with_name(path.name + ".damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)
    return aside


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

"""Readers and writers of text, JSON, arrays, stores of arrays, and tensors."""

import contextlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from diffattr.artifacts.atomic import atomic_write

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class ArtifactError(ValueError):
    """A file is missing, damaged, or not what its reader expects."""


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with exactly these keys; docstrings are part of report.json's schema."""


@dataclass(frozen=True)
class Arrays:
    """The named arrays and the attributes of one store."""

    path: Path
    arrays: Mapping[str, np.ndarray]
    attributes: Mapping[str, Any]

    def attribute(self, name: str) -> Any:
        """Return an attribute; raises ArtifactError if there is none."""
        if name not in self.attributes:
            raise ArtifactError(
                f"{self.path}: has no attribute {name!r}; rebuild it: snakemake --force {self.path}"
            )
        return self.attributes[name]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array; raises ArtifactError if there is none."""
        if name not in self.arrays:
            raise ArtifactError(
                f"{self.path}: has no array {name!r}, only {', '.join(sorted(self.arrays))};"
                f" rebuild it: snakemake --force {self.path}"
            )
        return self.arrays[name]


@contextlib.contextmanager
def readable(path: str | Path, kind: str, rebuild: str | Path | None = None) -> Iterator[None]:
    """Turn every exception inside the block into one sentence about the file.

    A file may hold anything, and parsers (numpy, zarr, zipfile, safetensors, diffusers) raise
    nearly anything on a bad one, including MemoryError and RecursionError. `kind` is what the file
    should be, `rebuild` what to rebuild instead of it.

    Raises:
        ArtifactError: the block raised; the message contains the reason and the remedy.
    """
    try:
        yield
    except ArtifactError:
        raise
    except Exception as error:
        remedy = f"build it: snakemake --force {rebuild or path}"
        if not Path(path).exists():
            raise ArtifactError(f"{path}: does not exist; {remedy}") from error
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: is not a readable {kind} ({reason}); re{remedy}") from error


def as_list(paths: Any) -> list[str]:
    """Return one path, or several, as a list."""
    return [paths] if isinstance(paths, str) else list(paths)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON; raises ValueError for NaN and infinities, which JSON cannot represent."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ArtifactError: the file is missing or is not JSON.
    """
    with readable(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_struct(path: str | Path, kind: type[T]) -> T:
    """Return the content of a JSON file as a `msgspec.Struct` or another type.

    Raises:
        ArtifactError: the file is missing, is not JSON, or does not match the type.
    """
    with readable(path, "JSON"):
        return msgspec.json.decode(Path(path).read_bytes(), type=kind)


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Write one array as `.npy`; raises ValueError for Python objects, which only pickle stores."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)


def write_rows(path: str | Path, n_rows: int, chunks: Iterable[np.ndarray]) -> None:
    """Write one array of `n_rows` rows as `.npy`, holding one chunk at a time in memory.

    Raises:
        ValueError: the chunks have another number of rows in total.
    """
    written = 0
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for number, chunk in enumerate(chunks):
            rows = np.asarray(chunk, order="C")
            if number == 0:
                header = np.lib.format.header_data_from_array_1_0(rows)
                header["shape"] = (n_rows, *rows.shape[1:])
                np.lib.format.write_array_header_1_0(file, header)
            file.write(rows.data)
            written += len(rows)
        if written != n_rows:
            raise ValueError(f"{path}: {written} rows were written, expected {n_rows}")


def read_array(path: str | Path, *, mmap: bool = False) -> np.ndarray:
    """Return an array from `.npy`; `mmap` maps it into memory and reads on access.

    Raises:
        ArtifactError: the file is missing, damaged, or holds several arrays or pickled objects.
    """
    with readable(path, ".npy array"):
        array = np.load(path, allow_pickle=False, mmap_mode="r" if mmap else None)
        if not isinstance(array, np.ndarray):
            raise ValueError("holds several arrays")
        return array


def write_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write named arrays and JSON attributes as one zarr v3 store in one zip file.

    One file, since Snakemake sees only the time stamp of a directory and zarr reads a lost chunk as
    zeros; one chunk per array, since readers read whole arrays. Time stamps inside the zip are
    constant, so that equal content gives equal bytes.
    """
    import zarr
    from zarr.storage import MemoryStore

    memory: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(memory), attributes=dict(attributes))
    for name, array in arrays.items():
        # Chunks of zeros are written too, so that readers can distinguish them from lost chunks,
        # which zarr reads as zeros.
        config: Any = {"write_empty_chunks": True}
        data = np.asarray(array, order="C")
        group.create_array(name, data=data, compressors=None, config=config)
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key in sorted(memory):
            archive.writestr(zipfile.ZipInfo(key, (1980, 1, 1, 0, 0, 0)), memory[key].to_bytes())


def read_arrays(path: str | Path) -> Arrays:
    """Return all arrays and attributes of one store.

    Raises:
        ArtifactError: the file is missing, damaged, not a zarr store, or lacks a chunk.
    """
    import zarr
    from zarr.storage import ZipStore

    with readable(path, "zarr store"), zipfile.ZipFile(path) as archive:
        # Checks every member's name and checksum.
        if (damaged_member := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{damaged_member} is damaged")
        members = archive.namelist()
    with readable(path, "zarr store"), ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        arrays = {}
        for name, member in group.arrays():
            # zarr's own count attributes chunks of `mean-squared-l2-norm` to `mean`, and fails.
            n_found = sum(f"{key}/".startswith(f"{name}/c/") for key in members)
            if n_found != member.nchunks:
                raise ValueError(f"{name}: {member.nchunks - n_found} chunks lost")
            arrays[name] = np.asarray(member[...])
        return Arrays(Path(path), arrays, dict(group.attrs))


def write_tensors(
    path: str | Path, tensors: Mapping[str, "torch.Tensor"], metadata: dict[str, str] | None = None
) -> None:
    """Write named tensors as safetensors.

    Use at most one metadata key: the order of several keys, and so the bytes, would vary.
    """
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(contiguous, temporary, metadata=metadata)

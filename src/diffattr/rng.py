"""The only source of random numbers: each draw is a pure function of named keys.

Keys identify what is drawn (a seed, a purpose, an image, a timestep), never when or in which batch.
Draws come from NumPy's Philox, a counter-based generator: the names of a stream are hashed into
its 128-bit key, and up to three integers (image, timestep, draw, ...) fill the upper words of its
256-bit counter. Opening the stream of one image thus takes microseconds, and each has 2^64 blocks.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, UInt64

Name = int | str


def _digest(names: Sequence[Name], n_bytes: int) -> bytes:
    text = json.dumps(list(names), separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=n_bytes).digest()


class Stream:
    """A family of independent generators, one per tuple of up to three non-negative integers.

    Args:
        *names: what is drawn, from general to particular, such as `42, "losses", "val"`.
    """

    def __init__(self, *names: Name):
        self._key = np.frombuffer(_digest(names, 16), dtype="<u8").astype(np.uint64)

    def generator(self, *counter: int) -> np.random.Generator:
        """Return the generator of one member; the same counter gives the same draws."""
        words = np.zeros(4, dtype=np.uint64)
        words[1 : 1 + len(counter)] = counter
        return np.random.Generator(np.random.Philox(key=self._key, counter=words))

    def normal(
        self, image: int, timestep: int, draw: int, shape: tuple[int, ...]
    ) -> Float32[np.ndarray, "..."]:
        """Return standard normal noise of one image, timestep and draw."""
        return self.generator(image, timestep, draw).standard_normal(shape, dtype=np.float32)


def generator(*names: Name) -> np.random.Generator:
    """Return the generator whose draws are a pure function of `names`."""
    return Stream(*names).generator()


def integer_seed(*names: Name) -> int:
    """Return a 32-bit seed for a library that only takes an integer (scikit-learn, torch)."""
    return int.from_bytes(_digest(names, 4), "little")


@contextlib.contextmanager
def torch_seeded(*names: Name) -> Iterator[None]:
    """Key torch's global generator inside the block (initial weights, dropout), then restore it."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(integer_seed(*names))  # noqa: TID251
        yield


def mixed(words: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Return 64 well-mixed bits for every word.

    The finaliser of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014): integer arithmetic only, the same on every machine and device.
    """
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))


def hashed_range(n: int, *names: Name) -> UInt64[np.ndarray, " index"]:
    """Return 64 bits for each of 0 ... n-1: the stream of splitmix64 from a keyed start."""
    start = np.frombuffer(_digest(names, 8), dtype="<u8").astype(np.uint64)
    with np.errstate(over="ignore"):
        return mixed(start + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))

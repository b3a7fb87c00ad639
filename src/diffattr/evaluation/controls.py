"""Controls: what must hold if nothing is broken, whatever the methods are worth."""

from collections.abc import Sequence

from diffattr.evaluation.comparison import verdict

TOLERANCE = 1e-4
"""Largest relative error at which features count as independent of batch size and order: float32
sums over some hundred timesteps in another order differ by up to some 1e-5."""


def is_invariant(largest_relative_error: float) -> bool:
    """Return whether features do not depend on how images were batched and ordered."""
    return largest_relative_error <= TOLERANCE


def is_chance(interval: Sequence[float]) -> bool:
    """Return whether an LDS agrees with zero, as that of random scores should."""
    return verdict(interval) == "undecided"

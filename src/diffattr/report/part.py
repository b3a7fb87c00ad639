"""The base of all types that make up report.json."""

import msgspec

Interval = tuple[float, float]
"""Lower and upper end of a confidence interval, at the report's `confidence`."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with exactly these keys; its docstring is part of the published schema."""

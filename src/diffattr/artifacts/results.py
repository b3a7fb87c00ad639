"""The base of every type that a JSON artifact holds."""

from msgspec import Struct


class Result(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with exactly these keys; docstrings are part of report.json's schema."""

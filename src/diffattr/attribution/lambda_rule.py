"""Lambda where nothing is retrained, so that no LDS can choose it."""

from typing import Literal

from diffattr.config import ConfigError

RULE: dict[str, float] = {"trak": 0.2, "d-trak": 0.002, "das": 0.0005}
"""Lambda by method, in units of the mean |phi|^2: what lost least LDS at worst on the standard
benchmarks (`benchmarks/lambda_rule.py`: .04 at worst, .01 on average). They are of 8 and 16 pixels
and one network; there is no evidence for others."""


def named_lambda(method: str, lam: float | Literal["rule"] | None) -> float:
    """Return the lambda that is named, or that of `RULE`, in units of the mean |phi|^2.

    Raises:
        ConfigError: none is named, or there is no rule for the method.
    """
    if lam == "rule":
        if method not in RULE:
            raise ConfigError(
                f"lambda: there is no rule for {method}, only for {', '.join(RULE)}; name a number"
            )
        return RULE[method]
    if not isinstance(lam, (int, float)) or not lam > 0:
        raise ConfigError(
            f"lambda: found {lam!r}; {method} needs a positive number in units of the mean |phi|^2,"
            " or rule for the one that docs/own-model.md gives the evidence for"
        )
    return float(lam)

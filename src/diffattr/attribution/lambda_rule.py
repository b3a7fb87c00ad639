"""Lambda where nothing is retrained, so that it cannot be selected by LDS."""

from typing import Literal

from diffattr.config import ConfigError

RULE: dict[str, float] = {"trak": 0.2, "d-trak": 0.002, "das": 0.0005}
"""Lambda by method, in units of the mean |phi|^2: the one with the smallest worst-case loss of LDS
on the standard benchmarks (`benchmarks/lambda_rule.py`: at most .04, .01 on average). These have
8x8 and 16x16 images and one network; there is no evidence for others."""


def named_lambda(method: str, lam: float | Literal["rule"] | None) -> float:
    """Return the given lambda, or the method's in `RULE`, in units of the mean |phi|^2.

    Raises:
        ConfigError: none is given, or there is no rule for the method.
    """
    if lam == "rule":
        if method not in RULE:
            raise ConfigError(
                f"lambda: there is no rule for {method}, only for {', '.join(RULE)}; give a number"
            )
        return RULE[method]
    if not isinstance(lam, (int, float)) or not lam > 0:
        rule = ", or `rule`, whose evidence is in docs/own-model.md" if method in RULE else ""
        raise ConfigError(
            f"lambda: found {lam!r}; {method} needs a positive number in units of the mean"
            f" |phi|^2{rule}"
        )
    return float(lam)

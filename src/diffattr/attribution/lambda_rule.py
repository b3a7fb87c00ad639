"""Lambda where nothing is retrained, so that no LDS can choose it."""

from typing import Literal

from diffattr.config import ConfigError

RULE: dict[str, float] = {"loss": 0.2, "mean-squared-l2-norm": 0.002, "mean": 0.0005}
"""Lambda by output function, in units of the mean |phi|^2: what lost least LDS at worst on the
standard benchmarks (`benchmarks/lambda_rule.py`: .04 at worst, .01 on average). They are of 8 and
16 pixels and one network; there is no evidence for others."""


def named_lambda(
    method: str, lam: float | Literal["rule"] | None, output_function: str | None
) -> float:
    """Return the lambda that is named, or that of `RULE`, in units of the mean |phi|^2.

    Raises:
        ConfigError: none is named, or there is no rule for the output function.
    """
    if lam == "rule":
        if output_function not in RULE:
            raise ConfigError(
                f"lambda: there is no rule for {method} on {output_function}; name a number"
            )
        return RULE[output_function]
    if not isinstance(lam, (int, float)) or not lam > 0:
        raise ConfigError(
            f"lambda: found {lam!r}; {method} needs a positive number in units of the mean |phi|^2,"
            " or rule for the one that docs/own-model.md gives the evidence for"
        )
    return float(lam)

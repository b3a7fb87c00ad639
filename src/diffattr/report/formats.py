"""How numbers are written for people: one way each, on pages and in the terminal."""

MISSING = "–"


def split_words(is_measured: bool) -> dict[str, str]:
    """Return what the queries of each split are, in the plural.

    Where nothing is measured, `val` is a folder that the user names.
    """
    val = "held-out images" if is_measured else "your queries"
    return {"val": val, "gen": "generated images", "planted": "planted copies"}


def fixed(value: float | None) -> str:
    """Return a correlation with three decimals."""
    return MISSING if value is None else f"{value:z.3f}"


def signed(value: float | None) -> str:
    """Return a difference of correlations. One that rounds to zero keeps its sign."""
    return MISSING if value is None else f"{value:+.3f}"


def between(interval: tuple[float, float] | list[float]) -> str:
    """Return an interval."""
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def rank(value: float) -> str:
    """Return a mean rank."""
    return f"{value:.2f}"


def percent(share: float | None) -> str:
    """Return a share in whole percent."""
    return MISSING if share is None else f"{100 * share:z.0f}%"


def small_percent(share: float) -> str:
    """Return a share that may be well below a percent."""
    return f"{100 * share:.2g}%"


def level(confidence: float | None) -> str:
    """Return the confidence level of an interval."""
    return MISSING if confidence is None else f"{100 * confidence:g}%"


def certainty(share: float) -> str:
    """Return a confidence, which is never written as certain."""
    if share > 0.9995:
        return "over 99.9%"
    if share < 0.0005:
        return "below 0.1%"
    return f"{100 * share:.1f}%"


def short(value: float | None) -> str:
    """Return a number of any size (a lambda, a score) with three significant digits."""
    return MISSING if value is None else f"{value:.3g}"


def seconds(value: float | None) -> str:
    """Return a duration in seconds."""
    if value is None:
        return MISSING
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def size(n_bytes: int) -> str:
    """Return a size in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} B"

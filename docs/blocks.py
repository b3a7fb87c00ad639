"""What the scripts here share: text between two marks of a page, and the table of the claim."""

import re
from typing import Any

from tabulate import tabulate

from diffattr.report import formats
from diffattr.report.structs import Report


def replaced(text: str, name: str, content: str) -> str:
    """Return the text with new content between a block's two marks.

    Raises:
        ValueError: there is no such block.
    """
    pattern = re.compile(rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no block {name!r} found between its two marks")
    return pattern.sub(lambda marks: f"{marks[1]}{content}\n{marks[2]}", text)


def github(rows: list[list[Any]], headers: list[str], n_left: int | None = None) -> str:
    """Return a table in Markdown: cells as they are, those after the first few to the right."""
    sides = ["left" if n_left is None or n < n_left else "right" for n in range(len(headers))]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=sides)


def claim(report: Report) -> str:
    """Return the table of D-TRAK against TRAK from a report."""
    rows = [
        [
            table.split,
            f"{pair.method} - {pair.baseline}",
            formats.signed(pair.difference),
            " to ".join(map(formats.signed, pair.interval)),
            pair.verdict,
            formats.signed(pair.oracle_difference),
        ]
        for table in report.lds
        for pair in table.d_trak
    ]
    level = f"{100 * report.confidence:g} % interval (paired)"
    headers = ["split", "LDS of", "difference", level, "D-TRAK is", "at oracle lambdas"]
    return github(rows, headers)

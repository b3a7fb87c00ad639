"""Puts the table, pictures and costs of the last `make demo` into README.md (`make readme`)."""

from datetime import datetime
from pathlib import Path

import matplotlib as mpl
import msgspec
from blocks import claim, github, replaced
from matplotlib.figure import Figure

from diffattr.artifacts import read_array, read_arrays, read_json, write_text
from diffattr.benchmark.paths import Paths
from diffattr.report import figures
from diffattr.report.structs import read

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "digits"
PATHS = Paths(str(RESULTS))
IMAGES = ROOT / "docs" / "images"
METHODS = ("trak-100", "d-trak-100")
SPLITS = {"val": "held-out digits", "gen": "generated digits"}


def gallery(split: str, queries: list[int], top: int = 5) -> Figure:
    """Return a figure: one row per query and method, the query and its top training images."""
    train = read_array(Path(PATHS.samples("train")))
    asked = read_array(Path(PATHS.samples(split)))
    rows = [(query, method) for query in queries for method in METHODS]
    figure = Figure(figsize=(1 + top, 0.95 * len(rows)))
    grid = figure.subplots(len(rows), 1 + top, squeeze=False)
    for axes, (query, method) in zip(grid, rows, strict=True):
        path = Path(PATHS.scores(method, split))
        best = read_arrays(path)["scores"][query].argsort()[::-1][:top]
        for axis, image in zip(axes, [asked[query], *train[best]], strict=True):
            axis.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
        axes[0].set_ylabel(method, fontsize=8, rotation=0, ha="right", va="center")
    grid[0][0].set_title("query", fontsize=9)
    grid[0][1].set_title("top proponents", fontsize=9, loc="left")
    figure.tight_layout()
    return figure


report = read(RESULTS / "report" / "report.json")
tables = {table.split: table for table in report.lds}
pictures = []
IMAGES.mkdir(exist_ok=True)
for split, words in SPLITS.items():
    write_text(IMAGES / f"lds-{split}.svg", figures.intervals(report, tables[split]))
    curves = figures.lambda_curves(report, tables[split])
    assert curves is not None
    write_text(IMAGES / f"lambda-{split}.svg", curves)
    with mpl.rc_context(figures.STYLE):
        gallery(split, [0, 40, 80]).savefig(IMAGES / f"gallery-{split}.png", dpi=110)
    pictures += [
        f"### Split {split}: {words}\n",
        f"| LDS with its 95 % interval | LDS along lambda |\n|---|---|\n"
        f"| ![LDS of every method, {split}](docs/images/lds-{split}.svg)"
        f" | ![LDS against lambda, {split}](docs/images/lambda-{split}.svg) |\n",
        f"![Queries of {split} and their top proponents](docs/images/gallery-{split}.png)\n",
    ]

total = msgspec.to_builtins(report.costs.total)
costs = [*msgspec.to_builtins(report.costs.stages), {"stage": "total", **total}]
host = report.origin.hosts[0].value
cost_table = github(
    [
        [
            c["stage"],
            c["jobs"],
            f"{c['seconds']:.0f}",
            c["peak_memory_mb"],
            f"{c['bytes'] / 1e6:.1f}",
        ]
        for c in costs
    ],
    ["stage", "jobs", "seconds", "peak MB", "MB on disk"],
    n_left=1,
)

records = [read_json(path) for path in RESULTS.rglob("*.provenance.json")]
starts = [datetime.fromisoformat(record["started"]).timestamp() for record in records]
ends = [start + record["seconds"] for start, record in zip(starts, records, strict=True)]
minutes = (max(ends) - min(starts)) / 60

readme = ROOT / "README.md"
text = readme.read_text()
lds_text = (RESULTS / "report" / "lds.txt").read_text().rstrip()
text = replaced(text, "table", f"```\n{lds_text}\n```")
text = replaced(text, "pictures", "\n".join(pictures).rstrip())
text = replaced(
    text,
    "cost",
    f"`make demo` took {minutes:.1f} minutes on {host['cores']} cores"
    f" ({host['processor']}); its report says:\n\n{cost_table}",
)
text = replaced(text, "claim", f"\n{claim(report)}\n")
write_text(readme, text)

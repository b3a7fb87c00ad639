"""A folder in which to look at every query of a benchmark, straight from disk.

`queries.html` holds no data. It loads what it needs, without a server:

    data/train.js        class and id of every training image that is shown anywhere
    data/<split>.js      class, id, LDS or rank of the copy of every query of a split
    data/<split>-<n>.js  the extreme scores of the queries from n on, some 100 kB per file
    images/<split>-<n>   sheets of up to 256 images, each image once

The same inputs give the same bytes.
"""

from pathlib import Path

from diffattr.artifacts import atomic_write
from diffattr.report import formats
from diffattr.report.files import Inputs
from diffattr.report.pictures import Images, write_sheets
from diffattr.report.structs import Report
from diffattr.report.viewer import data_files, page


def write_viewer(
    directory: str | Path, report: Report, inputs: Inputs, images: Images, top: int
) -> None:
    """Write the folder, whole or not at all; what was there is replaced.

    Every method's `top` proponents and as many opponents are shown. The scores of all methods
    together would not fit into memory, so only these are kept.

    Raises:
        ArtifactError: an input is missing or damaged.
        ValueError: scores or maps are not as expected.
    """
    names = [method.name for method in report.methods]
    ranks = {row.name: row.ranks for row in report.planted.methods} if report.planted else {}
    # Rounded to the digits that are shown, so that they sort as seen.
    lds = {
        table.split: {row.name: [*map(_as_shown, row.per_query)] for row in table.methods}
        for table in report.lds
    }
    shown: set[int] = set()
    with atomic_write(directory) as folder:
        for part in ("data", "images"):
            (folder / part).mkdir(parents=True)
        for group in report.queries:
            split, methods, answers = group.split, report.ranking(group.split), []
            for method in methods:
                shape = group.n_queries, report.n_train
                positions, texts = data_files.extremes(inputs, method, split, shape, top)
                shown.update(positions.ravel().tolist())
                answers.append(texts)
            planted = report.planted if split == "planted" else None
            index = {
                **data_files.described(inputs, split),
                "methods": [names.index(method) for method in methods],
                "lds": [lds[split][method] for method in methods] if split in lds else None,
                "ranks": planted and [ranks[method] for method in methods],
                "copies": planted and planted.copies,
                "starts": data_files.write_queries(folder, split, group.n_queries, answers),
                "sheets": write_sheets(folder / "images", split, images[split]),
            }
            data_files.write(folder, split, data_files.as_json(index))
        positions = sorted(shown)
        index = {
            **data_files.described(inputs, "train", positions),
            "positions": positions,
            "sheets": write_sheets(folder / "images", "train", images["train"], positions),
        }
        data_files.write(folder, "train", data_files.as_json(index))
        html = page.html(report, has_maps=bool(inputs.files["maps"]))
        (folder / "queries.html").write_text(html, encoding="utf-8")


def _as_shown(lds: float) -> float:
    return float(formats.fixed(lds))

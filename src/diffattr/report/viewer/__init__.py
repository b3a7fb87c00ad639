"""A folder in which to look at every query of a benchmark, straight from disk.

`queries.html` holds no data. It loads what it needs, without a server:

    data/train.js        class and id of every training image that is shown anywhere
    data/<split>.js      class, id, LDS or rank of the copy of every query of a split
    data/<split>-<n>.js  the extreme scores of the queries from n on, some 100 kB per file
    images/<split>-<n>   sheets of up to 256 images, each image once

The same inputs give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

from diffattr.artifacts import atomic_write
from diffattr.report.viewer import page
from diffattr.report.viewer.content import Images, LoadScores, Maps, Method, Split, Train, check
from diffattr.report.viewer.data_files import (
    described,
    split_index,
    write_data,
    write_queries,
    write_text,
)
from diffattr.report.viewer.extremes import extremes_of
from diffattr.report.viewer.sheets import write_sheets


def write(
    directory: str | Path,
    title: str,
    methods: Sequence[Method],
    train: Train,
    splits: Sequence[Split],
    images: Images,
    load_scores: LoadScores,
    *,
    maps: Maps | None = None,
    top: int = 5,
    report: str | None = None,
) -> None:
    """Write the folder, whole or not at all; what was there is replaced.

    Args:
        directory: where; nothing else may lie there.
        title: the benchmark's name.
        methods: every method that some split names.
        train: what is known of the training images.
        splits: what is known of the queries.
        images: each split's images in [-1, 1] or 8-bit, `train` among them.
        load_scores: gives one method's scores on one split. The scores of all methods together
            would not fit into memory, so only their extremes are kept.
        maps: gives a method's maps of a query's proponents, then opponents.
        top: how many proponents, and how many opponents.
        report: where the report lies, as a link from the folder.

    Raises:
        ValueError: a split's name cannot be part of an address, or lengths, scores or maps are not
            as expected.
    """
    check(methods, train, splits, images)
    with atomic_write(directory) as folder:
        for part in ("data", "images"):
            (folder / part).mkdir(parents=True)
        shown: set[int] = set()
        for split in splits:
            found = [
                extremes_of(split, method, len(train.ids), load_scores, maps, top)
                for method in split.methods
            ]
            for method in found:
                shown.update(method.positions.ravel().tolist())
            index = {
                **split_index(methods, split, found),
                "starts": write_queries(folder / "data", split, found),
                "sheets": write_sheets(folder / "images", split.name, images[split.name]),
            }
            write_data(folder / "data", split.name, index)
        positions = sorted(shown)
        index = {
            **described(train.ids, train.labels, positions),
            "positions": positions,
            "sheets": write_sheets(folder / "images", "train", images["train"], positions),
        }
        write_data(folder / "data", "train", index)
        html = page.html(title, methods, splits, len(train.ids), maps is not None, report)
        write_text(folder / "queries.html", html)

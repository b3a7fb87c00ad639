"""What the viewer's folder holds: listed images, numbers, pixels and maps; and what is refused."""

import base64
import math
import weakref
from pathlib import Path

import numpy as np
import pytest
from made_viewer import (
    COPIES,
    N_TRAIN,
    SIZES,
    TOP,
    Stored,
    data,
    every_map,
    levels,
    made_up,
    queries,
    tile,
)

from diffattr import artifacts
from diffattr.artifacts import Arrays
from diffattr.attribution.scores import highest
from diffattr.report import pictures


def test_the_listed_images_have_the_highest_and_lowest_scores(made, tmp_path):
    made.write(tmp_path / "v")
    for split, methods in made.splits.items():
        found = queries(tmp_path / "v", split)
        assert len(found) == SIZES[split]
        for query, entries in enumerate(found):
            for name, (positions, scores, _) in zip(methods, entries, strict=True):
                own = made.scores[name, split][query].tolist()
                falling = sorted(range(N_TRAIN), key=lambda place, own=own: (-own[place], place))
                rising = sorted(range(N_TRAIN), key=lambda place, own=own: (own[place], place))
                assert positions == falling[:TOP] + rising[:TOP]
                assert scores == [f"{own[place]:.3g}" for place in positions]


def test_highest_equals_a_stable_argsort():
    rng = np.random.default_rng(1)
    for n_train, values in ((1, 3), (5, 2), (200, 4), (200, 10_000)):
        scores = rng.integers(0, values, (20, n_train)).astype(np.float32)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
        np.testing.assert_array_equal(highest(scores, 7), expected)


def test_fewer_training_images_than_asked_for_are_all_listed(made, tmp_path):
    made.ids["train"], made.labels["train"] = [0, 1], None
    made.images["train"] = made.images["train"][:2]
    made.scores = {key: scores[:, :2] for key, scores in made.scores.items()}
    made.splits = {"val": made.splits["val"]}
    del made.lds["gen"]
    made.write(tmp_path / "v")
    assert {len(entry[0]) for entries in queries(tmp_path / "v", "val") for entry in entries} == {4}
    assert data(tmp_path / "v", "train")["labels"] is None


def test_lds_and_ranks_stand_with_each_query(made, tmp_path):
    made.lds["val"]["trak-4"][2] = -0.0001
    made.write(tmp_path / "v")
    val, planted = data(tmp_path / "v", "val"), data(tmp_path / "v", "planted")
    assert val["methods"] == [0, 1, 2]
    assert data(tmp_path / "v", "gen")["methods"] == [1, 2]
    assert data(tmp_path / "v", "gen")["labels"] is None
    assert val["labels"] == ["1"] * 6 + ["none"]
    expected = [[float(f"{value:z.3f}") for value in row] for row in made.lds["val"].values()]
    assert val["lds"] == expected
    assert math.copysign(1, val["lds"][0][2]) == 1
    assert (val["ranks"], val["copies"], planted["lds"]) == (None, None, None)
    assert planted["copies"] == COPIES
    for place, name in enumerate(made.splits["planted"]):
        for query, copy in enumerate(COPIES):
            own = made.scores[name, "planted"][query]
            assert planted["ranks"][place][query] == 1 + sum(other > own[copy] for other in own)


def test_images_are_stored_once_and_exactly(made, tmp_path):
    made.write(tmp_path / "v")
    train = data(tmp_path / "v", "train")
    shown = {
        position
        for split in SIZES
        for entries in queries(tmp_path / "v", split)
        for entry in entries
        for position in entry[0]
    }
    assert train["positions"] == sorted(shown)
    assert train["ids"] == [3 * position for position in sorted(shown)]
    assert train["labels"] == [str(position % 10) for position in sorted(shown)]
    for slot, position in enumerate(train["positions"]):
        found = tile(tmp_path / "v", "train", slot)
        np.testing.assert_array_equal(found, levels(made.images["train"][position]))
    for split, n in SIZES.items():
        for query in range(n):
            found = tile(tmp_path / "v", split, query)
            np.testing.assert_array_equal(found, levels(made.images[split][query]))
    assert len(list((tmp_path / "v" / "images").iterdir())) == 4


def test_many_colour_images_take_several_sheets(made, tmp_path):
    rng = np.random.default_rng(2)
    n = 2 * pictures.SHEET_SIZE + 5
    made.images["val"] = rng.uniform(-1, 1, (n, 3, 6, 4)).astype(np.float32)
    made.scores["trak-4", "val"] = rng.normal(size=(n, N_TRAIN)).astype(np.float32)
    made.splits, made.lds = {"val": ["trak-4"]}, {}
    made.ids["val"], made.labels["val"] = list(range(n)), None
    made.write(tmp_path / "v")
    assert len(list((tmp_path / "v" / "images").glob("val-*.png"))) == 3
    for query in (0, 17, pictures.SHEET_SIZE - 1, pictures.SHEET_SIZE, n - 1):
        expected = np.rint((made.images["val"][query].astype(np.float64) + 1) * 127.5)
        found = tile(tmp_path / "v", "val", query)
        np.testing.assert_array_equal(found, expected.transpose(1, 2, 0).astype(np.uint8))


def test_large_images_are_scaled_down(made, tmp_path):
    made.images["val"] = np.zeros((7, 3, 256, 128), np.float32)
    made.write(tmp_path / "v")
    sheets = data(tmp_path / "v", "val")["sheets"]
    assert (sheets["width"], sheets["height"], sheets["kind"]) == (32, 64, "webp")
    assert np.abs(tile(tmp_path / "v", "val", 6).astype(int) - 128).max() <= 2


def test_maps_are_shares_of_the_largest_value_kept_to_a_byte(made, tmp_path):
    rng = np.random.default_rng(3)
    for split in SIZES:
        # Of more images than are shown, and in another order.
        positions = np.array([rng.permutation(N_TRAIN) for _ in range(SIZES[split])])
        maps = rng.uniform(0, 7, (*positions.shape, 3, 2)).astype(np.float32)
        made.maps["trak-4", split] = {"positions": positions, "maps": maps}
    made.write(tmp_path / "v")
    for split in ("val", "planted"):
        for query, (with_maps, *others) in enumerate(queries(tmp_path / "v", split)):
            stored = {name: array[query] for name, array in made.maps["trak-4", split].items()}
            height, width, text = with_maps[2]
            found = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, height, width)
            for position, shown in zip(with_maps[0], found, strict=True):
                (own,) = stored["maps"][stored["positions"] == position]
                # Rounding to 8 bits.
                expected = own / stored["maps"].max()
                assert np.abs(shown / 255 - expected).max() <= 0.5 / 255 + 1e-7
            assert [entry[2] for entry in others] == [None, None]
    assert 'id="maps"' in (tmp_path / "v" / "queries.html").read_text()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (np.full((4, 4), np.nan), "maps of trak-4 on val, query 0: a value is not in"),
        (np.array([[1, -1.0]]), "query 0: a value is not in"),
        (np.zeros((65, 4)), "found 65 x 4, allowed are up to 64 cells a side"),
    ],
)
def test_bad_maps_are_refused(made, tmp_path, found, words):
    made.maps["trak-4", "val"] = every_map("val", found)
    with pytest.raises(ValueError, match=words):
        made.write(tmp_path / "v")


def test_scores_are_loaded_once_and_one_at_a_time(made, tmp_path, monkeypatch):
    asked, last = [], lambda: None

    def load(self, kind, *key):
        nonlocal last
        assert last() is None
        asked.append(key)
        scores = made.scores[key].copy()
        last = weakref.ref(scores)
        return Arrays(Path(kind, *key), {"scores": scores}, {})

    monkeypatch.setattr(Stored, "arrays", load)
    made.write(tmp_path / "v")
    assert asked == [(name, split) for split, names in made.splits.items() for name in names]


def test_bad_scores_are_refused_and_the_old_folder_stays(made, tmp_path):
    made.write(tmp_path / "v")
    before = artifacts.checksum(tmp_path / "v")
    made.scores["datamodel", "planted"][2, 5] = math.nan
    with pytest.raises(ValueError, match="scores of datamodel on planted: query 2 has one that"):
        made.write(tmp_path / "v")
    made.scores["datamodel", "gen"] = np.zeros((5, 3), np.float32)
    with pytest.raises(ValueError, match=r"found shape \(5, 3\), expected \(5, 30\)"):
        made.write(tmp_path / "v")
    assert artifacts.checksum(tmp_path / "v") == before
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_the_same_inputs_give_the_same_bytes(report, tmp_path):
    made_up(report).write(tmp_path / "a")
    made_up(report).write(tmp_path / "b")
    assert artifacts.checksum(tmp_path / "a") == artifacts.checksum(tmp_path / "b")

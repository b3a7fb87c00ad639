"""What the viewer's folder holds: listed images, numbers, pixels and maps; and what is refused."""

import base64
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
from made_viewer import N_TRAIN, SIZES, TOP, data, levels, made_up, queries, tile

from diffattr import artifacts
from diffattr.report import viewer
from diffattr.report.viewer import Split, Train, sheets
from diffattr.report.viewer.extremes import highest


def test_the_listed_images_have_the_highest_and_lowest_scores(made, tmp_path):
    made.write(tmp_path / "v")
    for split in made.splits:
        found = queries(tmp_path / "v", split.name)
        assert len(found) == SIZES[split.name]
        for query, entries in enumerate(found):
            for name, (positions, scores, _) in zip(split.methods, entries, strict=True):
                own = made.scores[name, split.name][query].tolist()
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
    made.train = Train([0, 1], None)
    made.images["train"] = made.images["train"][:2]
    made.scores = {key: scores[:, :2] for key, scores in made.scores.items()}
    made.splits = made.splits[:1]
    made.write(tmp_path / "v")
    assert {len(entry[0]) for entries in queries(tmp_path / "v", "val") for entry in entries} == {4}
    assert data(tmp_path / "v", "train")["labels"] is None


def test_lds_and_ranks_stand_with_each_query(made, tmp_path):
    made.splits[0].lds["trak-4"][2] = math.nan
    made.splits[0].lds["trak-4"][3] = None
    del made.splits[0].lds["datamodel"]
    made.write(tmp_path / "v")
    val, planted = data(tmp_path / "v", "val"), data(tmp_path / "v", "planted")
    assert val["methods"] == [0, 1, 2]
    assert data(tmp_path / "v", "gen")["methods"] == [1, 2]
    given = made.splits[0].lds
    assert val["lds"][0][2:4] == [None, None]
    assert val["lds"][2] is None
    assert val["lds"][1] == [float(f"{value:.3f}") for value in given["pixel-dot"]]
    assert (val["ranks"], val["copies"], planted["lds"]) == (None, None, None)
    for place, name in enumerate(made.splits[2].methods):
        for query, copy in enumerate([1, 3, 9, 2]):
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
    n = 2 * sheets.SHEET_SIZE + 5
    made.images["val"] = rng.uniform(-1, 1, (n, 3, 6, 4)).astype(np.float32)
    made.scores["trak-4", "val"] = rng.normal(size=(n, N_TRAIN)).astype(np.float32)
    made.splits = [Split("val", "held-out images", ["trak-4"], list(range(n)))]
    made.write(tmp_path / "v")
    assert len(list((tmp_path / "v" / "images").glob("val-*.png"))) == 3
    for query in (0, 17, sheets.SHEET_SIZE - 1, sheets.SHEET_SIZE, n - 1):
        expected = np.rint((made.images["val"][query].astype(np.float64) + 1) * 127.5)
        found = tile(tmp_path / "v", "val", query)
        np.testing.assert_array_equal(found, expected.transpose(1, 2, 0).astype(np.uint8))


def test_large_images_are_scaled_down(made, tmp_path):
    made.images["val"] = np.zeros((7, 3, 256, 128), np.float32)
    made.write(tmp_path / "v")
    sheets = data(tmp_path / "v", "val")["sheets"]
    assert (sheets["width"], sheets["height"], sheets["kind"]) == (32, 64, "webp")
    assert np.abs(tile(tmp_path / "v", "val", 6).astype(int) - 128).max() <= 2


def test_maps_are_kept_to_a_byte(made, tmp_path):
    rng = np.random.default_rng(3)
    given = {}

    def maps(method, split, query, positions):
        if method != "trak-4":
            return None
        given[split, query] = positions, rng.uniform(0, 1, (len(positions), 3, 2))
        return given[split, query][1]

    made.maps = maps
    made.write(tmp_path / "v")
    for split in ("val", "planted"):
        for query, (with_maps, *others) in enumerate(queries(tmp_path / "v", split)):
            positions, expected = given[split, query]
            assert with_maps[0] == positions
            height, width, text = with_maps[2]
            found = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, height, width)
            # Rounding to 8 bits.
            assert np.abs(found / 255 - expected).max() <= 0.5 / 255 + 1e-9
            assert [entry[2] for entry in others] == [None, None]
    assert 'id="maps"' in (tmp_path / "v" / "queries.html").read_text()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (np.zeros((2, 4, 4)), r"maps of trak-4 on val, query 0: found shape \(2, 4, 4\)"),
        (np.full((6, 4, 4), np.nan), "query 0: a value is not in"),
        (np.full((6, 4, 4), 1.5), "query 0: a value is not in"),
        (np.zeros((6, 65, 4)), "allowed are up to 64 cells a side"),
    ],
)
def test_bad_maps_are_refused(made, tmp_path, found, words):
    made.maps = lambda *_: found
    with pytest.raises(ValueError, match=words):
        made.write(tmp_path / "v")


def test_scores_are_loaded_once_and_one_at_a_time(made, tmp_path):
    asked, last = [], lambda: None

    def load(method, split):
        nonlocal last
        assert last() is None
        asked.append((method, split))
        scores = made.scores[method, split].copy()
        last = weakref.ref(scores)
        return scores

    viewer.write(tmp_path / "v", "t", made.methods, made.train, made.splits, made.images, load)
    assert asked == [(name, split.name) for split in made.splits for name in split.methods]


@pytest.mark.parametrize("name", ["train", "../up", "a-1", "", "a b"])
def test_a_split_that_cannot_be_part_of_an_address_is_refused(made, tmp_path, name):
    made.splits[0] = replace(made.splits[0], name=name)
    with pytest.raises(ValueError, match="cannot be part of an address"):
        made.write(tmp_path / "v")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": [1]}, "split val: found 7 labels, expected 1"),
        ({"labels": [1]}, "split val: found 1 labels, expected 7"),
        ({"lds": {"trak-4": [0.5]}}, "split val: found 1 lds of trak-4, expected 7"),
        ({"methods": ["unknown"]}, "split val: method 'unknown' is not among"),
    ],
)
def test_what_does_not_fit_together_is_refused(made, tmp_path, change, words):
    made.splits[0] = replace(made.splits[0], **change)
    with pytest.raises(ValueError, match=words):
        made.write(tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


def test_bad_scores_are_refused_and_the_old_folder_stays(made, tmp_path):
    made.write(tmp_path / "v")
    before = artifacts.checksum(tmp_path / "v")
    made.scores["datamodel", "planted"][2, 5] = math.nan
    with pytest.raises(ValueError, match="scores of datamodel on planted: query 2 has one that"):
        made.write(tmp_path / "v")
    made.scores["datamodel", "planted"] = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"found shape \(4, 3\), expected \(4, 30\)"):
        made.write(tmp_path / "v")
    assert artifacts.checksum(tmp_path / "v") == before
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_the_same_inputs_give_the_same_bytes(made, tmp_path):
    made.write(tmp_path / "a")
    made_up().write(tmp_path / "b")
    assert artifacts.checksum(tmp_path / "a") == artifacts.checksum(tmp_path / "b")

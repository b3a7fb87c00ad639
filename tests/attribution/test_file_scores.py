"""Scores that were computed elsewhere: read unchanged, or refused in one sentence."""

from types import SimpleNamespace

import numpy as np
import pytest
from changed_config import assert_refused, benchmark

from diffattr.artifacts import ArtifactError, write_array
from diffattr.attribution import METHODS
from diffattr.attribution.method import with_options
from diffattr.config import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("val", "gen", "planted"):
        write_array(f"{name}.npy", np.zeros((2, 3)))
    return tmp_path


def mine(**options):
    return {"methods.mine": {"method": "file", "options": options}}


def attributed():
    """Read val.npy as the scores of 2 queries and 3 training images."""
    write_array("queries.npy", np.arange(2))
    write_array("train.npy", np.arange(3))
    inputs = SimpleNamespace(file="val.npy", queries="queries.npy", train="train.npy")
    return with_options(METHODS["file"], {"val": "val.npy"}).attribution({}, inputs)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "i1", "<u4"])
def test_scores_are_read_unchanged(folder, dtype):
    np.save("val.npy", np.array([[3, 1, 2], [0, 7, 5]], dtype=dtype))
    found = attributed()
    assert np.array_equal(found.scores(None), [[3, 1, 2], [0, 7, 5]])
    predictions = found.predictions([np.array([0, 1])], [None])
    assert np.array_equal(predictions, [[[4, 7]]])


class Evil:
    """Starts something where it is unpickled."""

    def __reduce__(self):
        return open, ("started", "w")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            np.zeros((3, 2)),
            r"found an array of shape \(3, 2\), expected \(query, train\) = \(2, 3\)",
        ),
        (np.zeros(6), r"found an array of shape \(6,\)"),
        (np.zeros((2, 3, 1)), r"found an array of shape \(2, 3, 1\)"),
        (np.zeros((2, 3), complex), "found complex128, expected real numbers"),
        (np.zeros((2, 3), bool), "found bool, expected real numbers"),
        (np.full((2, 3), "a"), "found <U1, expected real numbers"),
        (
            np.array([[0, np.nan, np.inf], [1, 2, 3]]),
            "2 of 6 scores are NaN, infinite or too large",
        ),
        (np.array([[0, 1, 1e39], [1, 2, 3]]), "1 of 6 scores are NaN, infinite or too large"),
        (np.array([[Evil()] * 3] * 2), "is not a readable .npy array of numbers .*; write it anew"),
        (b"PK\x03\x04", "is not a readable .npy array of numbers"),
        (b"", "is not a readable .npy array of numbers"),
        (None, "is not a readable .npy array of numbers .*No such file"),
    ],
)
def test_a_file_without_a_table_of_scores_is_refused_in_one_sentence(folder, content, words):
    if content is None:
        (folder / "val.npy").unlink()
    elif isinstance(content, bytes):
        (folder / "val.npy").write_bytes(content)
    else:
        np.save("val.npy", content, allow_pickle=True)
    with pytest.raises(ArtifactError, match=f"^val.npy: {words}") as caught:
        attributed()
    assert "\n" not in str(caught.value)
    assert not (folder / "started").exists()


def test_splits_without_a_file_get_no_scores(folder):
    made = benchmark(mine(gen="gen.npy", planted="planted.npy"))
    assert made.splits.of("mine") == ["gen", "planted"]
    assert made.splits.lds_of("mine") == made.splits.lds_of("mine") == ["gen"]
    assert made.splits.of("mine") == ["gen", "planted"]
    assert "mine" not in made.splits.methods_of("val")
    assert made.methods["mine"].needs == "computed elsewhere"
    assert made.inputs.method("mine", "gen") == {
        "file": "gen.npy",
        "queries": "results/smoke/indices/gen.npy",
        "train": "results/smoke/indices/train.npy",
    }
    with pytest.raises(
        ConfigError, match=r"^methods.mine: .*found split val, allowed: gen, planted"
    ):
        made.inputs.method("mine", "val")


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (mine(val="nowhere.npy"), "methods.mine.options.val", "nowhere.npy does not exist"),
        (mine(val="."), "methods.mine.options.val", "expected a .npy file"),
        (mine(val="val.pkl"), "methods.mine.options.val", "found val.pkl, expected a .npy file"),
        (mine(val=3), "methods.mine.options.val", "found 3"),
        (mine(train="val.npy"), "methods.mine.options.train", "unknown option gen, planted, val"),
        (mine(), "methods.mine.options", "LDS val gen neither has a file"),
        (mine(planted="planted.npy"), "methods.mine.options", "LDS val gen neither has a file"),
        (
            {**mine(val="val.npy", planted="planted.npy"), "data.n_planted": 0},
            "methods.mine.options.planted",
            "no queries of this split",
        ),
        (
            {"methods": {"mine": {"method": "file", "options": {"val": "val.npy"}}}},
            "methods",
            "none scores split gen; add one, such as {method: random}",
        ),
        (
            {
                **mine(val="val.npy"),
                "counterfactual": {
                    "n_queries": 2,
                    "methods": ["random", "mine"],
                    "fractions": [0.25],
                    "retrain": [0.25],
                    "opponents": False,
                    "seeds": [1],
                },
            },
            "counterfactual.methods",
            "'mine' no scores for split gen",
        ),
    ],
)
def test_a_file_that_is_not_there_or_not_needed_is_refused_before_anything_runs(
    folder, changes, key, words
):
    assert_refused(benchmark, changes, key=key, words=words)


def test_an_option_that_is_null_is_one_that_is_left_out(folder):
    made = benchmark(mine(val="val.npy", gen=None))
    assert made.splits.of("mine") == ["val"]
    assert with_options(METHODS["file"], {}).files == {}

"""Random subsets of the training set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffattr.artifacts import ArtifactError, write_array
from diffattr.data.source import DataError
from diffattr.data.subsets import membership, read_subsets, subset

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 7], [20, 12, 9, 7])).astype(int)
FRACTIONS = st.sampled_from([0.2, 0.25, 1 / 3, 0.5, 0.51, 0.8])
INDICES = st.integers(0, 10**6)


@given(FRACTIONS, INDICES, st.sampled_from(["lds", "retrain"]))
@settings(deadline=None)
def test_a_subset_is_sorted_and_stratified_and_of_the_right_size(fraction, index, group):
    members = subset(LABELS, fraction, 42, group, index)
    assert members.dtype == np.int64
    assert len(members) == round(fraction * len(LABELS))
    assert np.all(np.diff(members) > 0)  # sorted, none twice
    assert members[0] >= 0
    assert members[-1] < len(LABELS)
    for label in np.unique(LABELS):
        share = len(members) * (label == LABELS).mean()
        assert abs((LABELS[members] == label).sum() - share) < 1 + 1e-9


@given(FRACTIONS, INDICES, INDICES)
@settings(deadline=None)
def test_a_subset_depends_on_its_index_alone(fraction, index, other):
    first = subset(LABELS, fraction, 42, "lds", index)
    different = subset(LABELS, fraction, 42, "lds", other)
    np.random.seed(other)  # noqa: NPY002
    assert np.array_equal(subset(LABELS, fraction, 42, "lds", index), first)
    # Of 48 images there are more than 10^9 subsets: two alike would be a keying error.
    assert np.array_equal(first, different) == (index == other)


def test_groups_and_seeds_draw_their_own_subsets():
    keys = [(42, "lds", 0), (42, "retrain", 0), (43, "lds", 0), (42, "lds", 1)]
    drawn = {tuple(subset(LABELS, 0.5, *key).tolist()) for key in keys}
    assert len(drawn) == len(keys)


def test_every_image_is_in_about_half_of_the_half_subsets():
    masks = membership([subset(LABELS, 0.5, 1, "lds", index) for index in range(200)], len(LABELS))
    # Five binomial standard deviations of 200 fair draws, over 48 images; classes of an odd size
    # have shares a little off one half.
    assert np.all(abs(masks.mean(axis=0) - 0.5) < 5 * np.sqrt(0.25 / 200) + 0.5 / 7)


@pytest.mark.parametrize(("fraction", "n"), [(0.001, 0), (0.999, 48)])
def test_a_share_of_no_or_every_image_is_refused(fraction, n):
    with pytest.raises(DataError) as caught:
        subset(LABELS, fraction, 1, "lds", 0)
    assert "measurement.subsets.lds.fraction" in str(caught.value)
    assert f"subset of {n}, expected 1 to 47" in str(caught.value)


def test_a_subset_with_fewer_images_than_classes_is_refused_by_the_key():
    with pytest.raises(DataError, match=r"subsets\.retrain\.fraction"):
        subset(LABELS, 0.05, 1, "retrain", 0)


MEMBERS = st.integers(1, 20).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.sets(st.integers(0, n - 1)).map(sorted), max_size=5)
    )
)


@given(MEMBERS)
def test_membership_says_which_image_is_in_which_subset(case):
    n_train, subsets = case
    masks = membership([np.array(members, dtype=np.int64) for members in subsets], n_train)
    assert masks.shape == (len(subsets), n_train)
    for row, members in enumerate(subsets):
        for image in range(n_train):
            assert masks[row, image] == (image in members)


def test_the_subsets_of_some_blocks_stand_in_their_order(tmp_path):
    blocks = [np.array([[0, 3], [1, 2]]), np.array([[2, 5]])]
    paths = [tmp_path / f"block-{number}.npy" for number in range(2)]
    for path, block in zip(paths, blocks, strict=True):
        write_array(path, block)
    assert [row.tolist() for row in read_subsets([str(path) for path in paths])] == [
        [0, 3],
        [1, 2],
        [2, 5],
    ]
    assert [row.tolist() for row in read_subsets(str(paths[1]))] == [[2, 5]]


@pytest.mark.parametrize("wrong", [np.arange(3), np.zeros((2, 3)), np.zeros((2, 2, 3), np.int64)])
def test_a_file_that_holds_no_block_of_subsets_is_refused(tmp_path, wrong):
    path = tmp_path / "block-0.npy"
    write_array(path, wrong)
    with pytest.raises(ArtifactError, match=r"block-0\.npy: .*, expected int64 \(member, image\)"):
        read_subsets(str(path))

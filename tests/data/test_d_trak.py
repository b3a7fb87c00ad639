"""The splits of D-TRAK's published code, index for index.

CIFAR-10's are held against the real labels in test_cifar10.py, where those can be had. ArtBench's
published indices cannot be checked without its list of images, which no machine of ours has.
"""

import numpy as np
import pytest
from changed_config import assert_refused, benchmark
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from diffattr.config import Data
from diffattr.data.source import Source
from diffattr.data.splits import split
from diffattr.data.subsets import D_TRAK_LDS_SUBSETS, d_trak_subset_state, sample, subset

CELEBA_PARTITIONS = 162_770, 19_867, 19_962


def source(labels, n_train, n_val):
    """A data set of black pixels: training images first, then those for queries."""
    positions = np.arange(len(labels))
    return Source(
        labels,
        tuple(str(label) for label in range(labels.max() + 1)),
        train_pool=positions[:n_train],
        val_pool=positions[n_train : n_train + n_val],
        read=lambda chosen, side: np.zeros((len(chosen), 1, side, side), np.float32),
    )


def drawn(whole, seed=1, **keys):
    data = Data(source="digits", resolution=1, n_planted=0, split="d-trak", **keys)
    return {name: part.positions for name, part in split(whole, data, seed).items()}


def first_of_permutation(pool, n, random_state):
    """`train_test_split` without classes: what it leaves out comes first in a permutation."""
    order = np.random.RandomState(random_state).permutation(len(pool))
    n_rest = len(pool) - n
    return pool[order[n_rest : n_rest + n]]


@pytest.fixture(scope="module")
def celeba():
    n_train, n_val, n_test = CELEBA_PARTITIONS
    whole = source(np.zeros(n_train + n_val + n_test, np.int64), n_train, n_val)
    return drawn(whole, n_train=5000, n_val=1000)


def test_celeba_has_the_published_indices(celeba):
    # As the notebooks of the published code print them.
    assert celeba["train"][:5].tolist() == [48803, 28992, 118843, 86803, 153263]
    assert celeba["val"][:5].tolist() == [167013, 179842, 176165, 167714, 180120]


def test_celeba_is_drawn_without_classes_from_its_own_partitions(celeba):
    n_train, n_val, _ = CELEBA_PARTITIONS
    assert np.array_equal(celeba["train"], first_of_permutation(np.arange(n_train), 5000, 42))
    pool = np.arange(n_train, n_train + n_val)
    assert np.array_equal(celeba["val"], first_of_permutation(pool, 1000, 42))


def test_the_seed_of_the_benchmark_does_not_move_the_published_splits():
    whole = source(np.arange(300) % 3, 200, 100)
    first, other = (drawn(whole, seed, n_train=50, n_val=20) for seed in (1, 2))
    for name in first:
        assert np.array_equal(first[name], other[name])


@given(st.integers(0, 99), st.integers(6, 60), st.integers(4, 30))
@settings(deadline=None, max_examples=30)
def test_with_classes_the_order_is_scikit_learn_s(seed, n_train, n_val):
    labels = np.random.default_rng(seed).permutation(np.arange(120) % 3)
    found = drawn(source(labels, 80, 40), n_train=n_train, n_val=n_val)
    for name, pool, n in (
        ("train", np.arange(80), n_train),
        ("val", np.arange(80, 120), n_val),
    ):
        expected, _ = train_test_split(
            pool, train_size=n, random_state=42, stratify=labels[pool], shuffle=True
        )
        assert np.array_equal(found[name], expected)
        shares = n * np.bincount(labels[pool], minlength=3) / len(pool)
        assert np.all(abs(np.bincount(labels[found[name]], minlength=3) - shares) < 1 + 1e-9)


def test_training_images_keep_their_order_of_drawing():
    found = drawn(source(np.arange(300) % 2, 200, 100), n_train=100, n_val=50)
    assert np.any(np.diff(found["train"]) < 0)
    assert np.any(np.diff(found["val"]) < 0)


def test_a_pool_that_is_used_whole_keeps_its_natural_order():
    found = drawn(source(np.arange(300) % 2, 200, 100), n_train=200, n_val=100)
    assert found["train"].tolist() == list(range(200))
    assert found["val"].tolist() == list(range(200, 300))


def test_only_the_wanted_classes_are_drawn_and_their_rest_does_not_matter():
    labels = np.random.default_rng(5).permutation(np.arange(300) % 3)
    whole = source(labels, 200, 100)
    found = drawn(whole, n_train=60, n_val=20, classes=(0, 2))
    pool = np.flatnonzero(np.isin(labels[:200], (0, 2)))
    expected, _ = train_test_split(pool, train_size=60, random_state=42, stratify=labels[pool])
    assert np.array_equal(found["train"], expected)


# --- subsets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "first"), [("lds", 42), ("retrain", 554)])
@pytest.mark.parametrize("index", [0, 1, 63])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_a_subset_is_drawn_from_the_ordered_training_images(group, first, index, n_classes):
    generator = np.random.default_rng(8)
    train = generator.permutation(500)[:120]
    labels = np.arange(120) % n_classes
    generator.shuffle(labels)
    # The published code draws positions in the data set; two seeds lie between neighbours.
    stratify = labels if n_classes > 1 else None
    expected, _ = train_test_split(
        train, train_size=0.5, random_state=first + 2 * index, stratify=stratify
    )
    members = subset(labels, 0.5, 7, group, index, like_d_trak=True)
    assert np.all(np.diff(members) > 0)
    assert set(train[members].tolist()) == set(expected.tolist())


def test_the_random_states_that_the_paper_used_do_not_overlap():
    lds = {d_trak_subset_state("lds", index) for index in range(64)}
    retrain = {d_trak_subset_state("retrain", index) for index in range(512)}
    assert (min(lds), max(lds)) == (42, 168)
    assert (min(retrain), max(retrain)) == (554, 1576)
    assert not lds & retrain


def test_no_subset_of_those_that_the_paper_used_is_drawn_twice():
    labels = np.arange(40) % 2
    members = [
        subset(labels, 0.5, 0, group, index, like_d_trak=True).tobytes()
        for group, count in (("lds", 64), ("retrain", 512))
        for index in range(count)
    ]
    # Of 40 images there are more than 10^10 balanced halves.
    assert len(set(members)) == 64 + 512


def test_as_many_subsets_of_lds_as_can_be_are_none_of_retrain():
    last = d_trak_subset_state("lds", D_TRAK_LDS_SUBSETS - 1)
    assert last < d_trak_subset_state("retrain", 0) == d_trak_subset_state("lds", 256)


def test_more_subsets_than_that_are_refused_before_anything_runs():
    like = {"data.split": "d-trak", "measurement.subsets.lds.count": 257}
    assert_refused(
        benchmark, like, key="measurement.subsets.lds.count", words="257 256 d-trak retrain"
    )
    benchmark({**like, "measurement.subsets.lds.count": 256})
    benchmark({"measurement.subsets.lds.count": 257})


def test_only_what_has_classes_is_stratified():
    pool = np.arange(100)
    one = sample(pool, np.full(100, 7), 30, 42, "key", like_d_trak=True)
    assert np.array_equal(one, first_of_permutation(pool, 30, 42))

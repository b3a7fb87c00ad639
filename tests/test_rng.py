"""Keyed draws: pure functions of names and counters, and as random as they should be."""

import hashlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diffattr import rng

NAMES = st.lists(st.one_of(st.integers(-(10**9), 10**9), st.text(max_size=6)), max_size=4)
WORDS = st.integers(0, 2**64 - 1)
COUNTERS = st.tuples(*[st.integers(0, 2**40)] * 3)
MASK = 2**64 - 1


def draws(generator, n=4):
    return generator.integers(2**63, size=n).tolist()


def splitmix64_finaliser(word):
    """Steele, Lea and Flood (2014), in Python's unbounded integers."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@given(NAMES)
def test_the_same_names_give_the_same_draws(names):
    assert draws(rng.generator(*names)) == draws(rng.generator(*names))
    assert rng.integer_seed(*names) == rng.integer_seed(*names)
    assert rng.hashed_range(3, *names).tolist() == rng.hashed_range(3, *names).tolist()


@given(NAMES, NAMES)
def test_different_names_give_different_draws(first, second):
    same = first == second
    assert (draws(rng.generator(*first)) == draws(rng.generator(*second))) == same
    assert (rng.hashed_range(2, *first).tolist() == rng.hashed_range(2, *second).tolist()) == same


def test_names_are_kept_apart_by_type_and_by_where_one_ends():
    keys = [(1,), ("1",), (1, 1), (11,), ("1,1",), ("a", "b"), ("ab",), ("a,b",), ('a","b',), ()]
    assert len({tuple(draws(rng.generator(*names))) for names in keys}) == len(keys)
    assert len({rng.integer_seed(*names) for names in keys}) == len(keys)


@given(COUNTERS, COUNTERS)
def test_different_counters_give_different_draws(first, second):
    stream = rng.Stream(7, "counters")
    same = first == second
    assert (draws(stream.generator(*first)) == draws(stream.generator(*second))) == same


def test_every_place_of_the_counter_matters():
    stream = rng.Stream(7, "counters")
    counters = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (2, 0, 0)]
    assert len({tuple(draws(stream.generator(*counter))) for counter in counters}) == len(counters)


def test_the_streams_of_neighbouring_counters_do_not_overlap():
    # Streams that shared counter blocks would repeat each other's numbers further on.
    stream = rng.Stream(7, "overlap")
    numbers = [n for image in range(20) for n in draws(stream.generator(image, 0, 0), 500)]
    # 10^4 draws of 63 bits: a chance collision has probability 10^8 / 2^64 < 1e-11.
    assert len(set(numbers)) == len(numbers)


def test_draws_do_not_depend_on_the_order_of_calls_or_on_what_else_was_drawn():
    stream = rng.Stream(3, "order")
    wanted = {image: stream.normal(image, 5, 0, (2, 3)) for image in range(5)}
    for image in (4, 0, 3, 1, 2):
        rng.generator("something else").normal(size=image)
        assert np.array_equal(stream.normal(image, 5, 0, (2, 3)), wanted[image])


def test_global_random_state_neither_matters_nor_changes():
    def all_draws():
        return [
            draws(rng.generator(1, "a")),
            rng.Stream(1, "a").normal(0, 0, 0, (3,)).tolist(),
            rng.integer_seed(1, "a"),
            rng.hashed_range(3, 1, "a").tolist(),
        ]

    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    wanted = all_draws()
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    assert all_draws() == wanted
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_torch_seeded_keys_torch_and_restores_its_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with rng.torch_seeded(1, "weights"):
        first = torch.randn(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    with rng.torch_seeded(1, "weights"):
        assert torch.equal(torch.randn(4), first)
    with rng.torch_seeded(2, "weights"):
        assert not torch.equal(torch.randn(4), first)


def test_torch_seeded_restores_the_state_after_an_error():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), rng.torch_seeded(1, "weights"):
        torch.randn(4) + torch.randn(5)  # shapes that do not fit
    assert torch.equal(torch.get_rng_state(), before)


@given(st.lists(WORDS, max_size=8))
def test_mixed_is_the_finaliser_of_splitmix64(words):
    expected = [splitmix64_finaliser(word) for word in words]
    assert rng.mixed(np.array(words, dtype=np.uint64)).tolist() == expected


@given(st.integers(0, 30), NAMES)
def test_hashed_range_walks_the_stream_of_splitmix64(n, names):
    # The finaliser is undone on the first word, which gives the keyed start back.
    words = rng.hashed_range(n, *names).tolist()
    assert len(words) == n
    longer = rng.hashed_range(n + 5, *names).tolist()
    assert longer[:n] == words
    golden = 0x9E3779B97F4A7C15
    state = inverse_finaliser(longer[0])
    for word in longer:
        assert word == splitmix64_finaliser(state)
        state = (state + golden) & MASK


@given(NAMES)
def test_hashed_range_starts_at_the_hash_of_its_names(names):
    text = json.dumps(names, separators=(",", ":")).encode()
    start = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    # Java's SplittableRandom and its kin add the golden step before each number.
    expected = splitmix64_finaliser((start + 0x9E3779B97F4A7C15) & MASK)
    assert rng.hashed_range(1, *names).tolist() == [expected]


def inverse_finaliser(word):
    def unshift(value, shift):
        found = value
        for _ in range(64 // shift + 1):
            found = value ^ (found >> shift)
        return found

    word = unshift(word, 31) * pow(0x94D049BB133111EB, -1, 2**64) & MASK
    word = unshift(word, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) & MASK
    return unshift(word, 30)


# Limits of the statistical tests: with fixed keys the outcome is fixed as well, so a p-value above
# 1e-3 is no matter of luck on the next run; a biased generator would be far below.
P_MIN = 1e-3


def test_every_bit_of_hashed_range_is_set_half_of_the_time():
    words = rng.hashed_range(20_000, "bits")
    bits = np.unpackbits(words.view(np.uint8)).reshape(len(words), 64)
    ones = bits.sum(axis=0)
    statistic = ((ones - 10_000) ** 2 / 5_000).sum()  # 64 squared standard normals
    assert P_MIN < stats.chi2.sf(statistic, 64) < 1 - P_MIN


@pytest.mark.parametrize("shift", [0, 20, 56])
def test_bytes_of_hashed_range_are_uniform(shift):
    values = (rng.hashed_range(50_000, "bytes") >> np.uint64(shift)) & np.uint64(255)
    counts = np.bincount(values.astype(np.int64), minlength=256)
    assert stats.chisquare(counts).pvalue > P_MIN


def test_integer_seeds_are_uniform_32_bit_numbers():
    seeds = np.array([rng.integer_seed("seed", number) for number in range(5_000)])
    assert seeds.min() >= 0
    assert seeds.max() < 2**32
    assert stats.kstest(seeds / 2**32, "uniform").pvalue > P_MIN


def test_noise_is_standard_normal_within_and_across_images():
    stream = rng.Stream(11, "losses", "val")
    noise = np.stack([stream.normal(image, 3, 0, (1, 8, 8)) for image in range(500)])
    assert noise.dtype == np.float32
    assert noise.shape == (500, 1, 8, 8)
    n = noise.size
    # Four standard errors of the mean, the variance and the kurtosis of n normal draws.
    assert abs(noise.mean()) < 4 / np.sqrt(n)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.kurtosis(noise, axis=None)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(noise[:, 0, 0, 0], "norm").pvalue > P_MIN  # one pixel across images
    assert stats.kstest(noise[0].ravel(), "norm").pvalue > P_MIN  # one image


def test_noise_of_neighbouring_images_timesteps_and_draws_is_uncorrelated():
    stream = rng.Stream(11, "losses", "val")
    base = stream.normal(4, 4, 4, (4096,))
    for other in [(5, 4, 4), (4, 5, 4), (4, 4, 5)]:
        # Four standard errors of a correlation over 4096 pairs.
        assert abs(np.corrcoef(base, stream.normal(*other, (4096,)))[0, 1]) < 4 / np.sqrt(4096)

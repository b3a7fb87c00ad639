"""From files to scores; what does not belong together is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from diffattr.artifacts import ArtifactError, write_array, write_arrays
from diffattr.attribution import METHODS, configured
from diffattr.attribution.kernel import Kernel
from diffattr.attribution.store import read_kernel, write_kernel
from diffattr.features.store import TIMESTEP_LOSSES, Features, read_shards

IDENTITY = {
    "projector": {"kind": "sjlt", "k": 4, "seed": 0},
    "model": "abc",
    "timesteps": {"kind": "uniform", "n_timesteps": 10, "draws": 1},
}
OTHERS = {
    "projector": {**IDENTITY, "projector": {"kind": "sjlt", "k": 4, "seed": 1}},
    "model": {**IDENTITY, "model": "def"},
    "timesteps": {**IDENTITY, "timesteps": {"kind": "cumulative", "n_timesteps": 10, "draws": 1}},
}
FUNCTIONS = ("loss", "mean-squared-l2-norm")


def arrays(n, seed):
    generator = np.random.default_rng(seed)
    named = {name: generator.normal(size=(n, 4)).astype(np.float32) for name in FUNCTIONS}
    return {**named, TIMESTEP_LOSSES: generator.random((n, 10)).astype(np.float32)}


def shards(folder, values, identity, cuts):
    """Write features as shards that end at `cuts`."""
    folder.mkdir(parents=True)
    paths = []
    for start, end in zip([0, *cuts[:-1]], cuts, strict=True):
        paths.append(str(folder / f"{start:04d}.zarr.zip"))
        write_arrays(
            paths[-1],
            {name: rows[start:end] for name, rows in values.items()},
            {"identity": identity},
        )
    return paths


@pytest.fixture
def stored(tmp_path):
    """Features of both sides and one kernel per output function, as jobs leave them."""
    train, queries = arrays(7, 0), arrays(3, 1)
    inputs = SimpleNamespace(
        train=shards(tmp_path / "train", train, IDENTITY, [3, 6, 7]),
        queries=shards(tmp_path / "val", queries, IDENTITY, [3]),
    )
    kernels = {}
    for name in FUNCTIONS:
        kernels[name] = str(tmp_path / f"{name}.zarr.zip")
        side = read_shards(inputs.train, name)
        write_kernel(kernels[name], Kernel.from_features(side.values), side)
    return SimpleNamespace(train=train, queries=queries, inputs=inputs, kernels=kernels)


def read(stored, method, output_function):
    inputs = SimpleNamespace(**vars(stored.inputs), kernels=stored.kernels[output_function])
    return read_attribution(config(method, output_function), inputs)


def config(method, output_function=None, weights=(1.0,), **values):
    """The section `method` of `Params.method`."""
    return {
        "method": method,
        "options": {},
        "output_function": output_function,
        "weights": weights,
        "n_retrained": None,
        **values,
    }


def read_attribution(params, inputs):
    return configured(params).attribution(params, inputs)


ON_FEATURES = [n for n, m in METHODS.items() if m.reads == "features" and not m.curvature]


@pytest.mark.parametrize("method", ON_FEATURES)
@pytest.mark.parametrize("output_function", FUNCTIONS)
def test_features_from_files_score_as_features_in_memory(stored, method, output_function):
    lam = 0.1 if METHODS[method].has_lambda else None
    found = read(stored, method, output_function)
    expected = METHODS[method].attribute(
        stored.train[output_function],
        stored.queries[output_function],
        losses=stored.train[TIMESTEP_LOSSES],
    )
    assert np.array_equal(found.scores(lam), expected.scores(lam))


def test_images_from_files_are_compared_pixel_by_pixel(tmp_path):
    generator = np.random.default_rng(2)
    images = {"train": generator.random((5, 3, 2, 2)), "queries": generator.random((2, 3, 2, 2))}
    inputs = SimpleNamespace(**{name: str(tmp_path / f"{name}.npy") for name in images})
    for name, values in images.items():
        write_array(getattr(inputs, name), values)
    found = read_attribution(config("pixel-dot"), inputs).scores(None)
    for query in range(2):
        for image in range(5):
            expected = (images["queries"][query] * images["train"][image]).sum()
            assert found[query, image] == pytest.approx(expected, rel=1e-12)


def test_a_single_shard_may_be_named_by_its_path_alone(stored):
    whole = read(stored, "gradient-dot", "loss").scores(None)
    stored.inputs.queries = stored.inputs.queries[0]  # as Snakemake does for an input of one file
    assert np.array_equal(read(stored, "gradient-dot", "loss").scores(None), whole)


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_a_kernel_comes_back_as_it_was(stored, tmp_path, form):
    side = read_shards(stored.inputs.train, "loss")
    kernel = Kernel.from_features(side.values, form)
    write_kernel(tmp_path / "kernel.zarr.zip", kernel, side)
    found = read_kernel(tmp_path / "kernel.zarr.zip", side)
    assert (found.form, found.n_train) == (form, 7)
    assert np.array_equal(found.eigenvalues, kernel.eigenvalues)
    assert np.array_equal(found.eigenvectors, kernel.eigenvectors)


@pytest.mark.parametrize("differing", OTHERS)
@pytest.mark.parametrize("method", ["trak", "gradient-cosine"])
def test_queries_of_another_map_than_the_training_images_are_refused(
    stored, tmp_path, method, differing
):
    other = shards(tmp_path / "other", stored.queries, OTHERS[differing], [3])
    stored.inputs.queries = other
    with pytest.raises(ArtifactError) as caught:
        read(stored, method, "loss")
    text = str(caught.value)
    assert text.startswith(f"{other[0]}: {differing} is ")  # which file, and what differs
    assert stored.inputs.train[0] in text  # from which other
    assert f"snakemake --force {other[0]}" in text


def test_a_training_shard_of_another_map_than_its_neighbours_is_refused(stored, tmp_path):
    other = shards(tmp_path / "other", arrays(2, 5), OTHERS["projector"], [2])
    stored.inputs.train = [*stored.inputs.train, *other]
    with pytest.raises(ArtifactError, match="projector is ") as caught:
        read(stored, "gradient-dot", "loss")
    assert str(caught.value).startswith(other[0])


@pytest.mark.parametrize("differing", OTHERS)
def test_a_kernel_of_other_features_is_refused(stored, tmp_path, differing):
    path = tmp_path / "other-kernel.zarr.zip"
    values = stored.train["loss"]
    write_kernel(path, Kernel.from_features(values), Features(path, values, OTHERS[differing]))
    stored.kernels["loss"] = str(path)
    with pytest.raises(ArtifactError) as caught:
        read(stored, "trak", "loss")
    assert str(caught.value).startswith(f"{path}: {differing} is ")


def test_a_feature_set_that_the_shards_do_not_hold_is_named(stored):
    stored.kernels["l1-norm"] = stored.kernels["loss"]
    with pytest.raises(ArtifactError, match="no array 'l1-norm', only loss"):
        read(stored, "trak", "l1-norm")


def models(tmp_path, n_models):
    """Features and kernels of several models, each as jobs leave them, and the values."""
    inputs = SimpleNamespace(train=[], queries=[], kernels=[])
    values = []
    for model in range(n_models):
        identity = {**IDENTITY, "model": f"model {model}"}
        train, queries = arrays(7, 10 + model), arrays(3, 20 + model)
        inputs.train += shards(tmp_path / f"{model}" / "train", train, identity, [3, 7])
        inputs.queries += shards(tmp_path / f"{model}" / "val", queries, identity, [3])
        side = read_shards(inputs.train[-2:], "loss")
        inputs.kernels.append(str(tmp_path / f"{model}.zarr.zip"))
        write_kernel(inputs.kernels[-1], Kernel.from_features(side.values), side)
        values.append((train["loss"], queries["loss"]))
    return inputs, values


@pytest.mark.parametrize("method", ["trak", "gas", "tracin"])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.0, 0.5, 2.0)])
def test_scores_of_several_models_are_their_weighted_mean(tmp_path, method, weights):
    inputs, values = models(tmp_path, 3)
    lam = 0.1 if METHODS[method].has_lambda else None
    found = read_attribution(config(method, "loss", weights), inputs)
    parts = [METHODS[method].attribute(*sides).scores(lam) for sides in values]
    expected = np.average(parts, axis=0, weights=weights)
    np.testing.assert_allclose(found.scores(lam), expected, rtol=1e-12, atol=1e-12)
    masks = np.random.default_rng(3).random((5, 7)) < 0.5
    sums = found.predictions([np.flatnonzero(mask) for mask in masks], [lam])[0]
    # Predictions are float32.
    np.testing.assert_allclose(sums, masks @ expected.T, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_models_out_of_order_are_refused(tmp_path):
    inputs, _ = models(tmp_path, 2)
    inputs.queries = inputs.queries[::-1]
    with pytest.raises(ArtifactError, match="model is "):
        read_attribution(config("gradient-dot", "loss", (1.0, 1.0)), inputs)


@pytest.mark.parametrize("method", ["empirical-influence", "datamodel"])
def test_retraining_based_scores_read_the_first_models(tmp_path, method):
    generator = np.random.default_rng(4)
    masks = np.array([generator.permutation(8) < 4 for _ in range(14)])
    losses = generator.normal(size=(2, 14, 3))
    inputs = SimpleNamespace(
        measurements=str(tmp_path / "measurements.zarr.zip"),
        subsets=[str(tmp_path / f"block-{number}.npy") for number in range(2)],
        train=str(tmp_path / "train.npy"),
    )
    write_arrays(inputs.measurements, {"measurements": losses}, {})
    write_array(inputs.train, np.arange(8))
    for path, block in zip(inputs.subsets, (masks[:13], masks[13:]), strict=True):
        write_array(path, np.array([np.flatnonzero(mask) for mask in block]))
    found = read_attribution(config(method, n_retrained=12), inputs).scores(None)
    expected = METHODS[method].scores_from_losses(masks[:12], losses.mean(axis=0)[:12])
    np.testing.assert_array_equal(found, expected)
    inputs.subsets.pop()
    with pytest.raises(ArtifactError, match="14 models for 13 subsets"):
        read_attribution(config(method, n_retrained=12), inputs)


@pytest.mark.parametrize(("method", "lam"), [("ekfac", None), ("ekfac-swept", 0.3)])
def test_influence_solves_with_the_curvature_of_its_coordinates(tmp_path, method, lam):
    about = {"model": "abc", "curvature": {"approximation": "expand"}, "seed": 1}
    identity = {**IDENTITY, "projector": {"kind": "curvature", **about}}
    train, queries = arrays(7, 0), arrays(3, 1)
    inputs = SimpleNamespace(
        train=shards(tmp_path / "train", train, identity, [3, 7]),
        queries=shards(tmp_path / "val", queries, identity, [3]),
        kernels=str(tmp_path / "curvature.zarr.zip"),
    )
    eigenvalues = np.array([2.0, 1.0, 0.5, 0.0], dtype=np.float32)
    write_arrays(inputs.kernels, {"eigenvalues": eigenvalues}, {"identity": about})
    found = read_attribution(config(method, "loss"), inputs)
    ridge = 1e-8 if lam is None else 0.3 * 3.5 / 4
    inverse = np.diag(1 / (eigenvalues.astype(float) + ridge))
    expected = queries["loss"].astype(float) @ inverse @ train["loss"].T.astype(float)
    np.testing.assert_allclose(found.scores(lam), expected, rtol=1e-6)
    masks = np.random.default_rng(3).random((5, 7)) < 0.5
    sums = found.predictions([np.flatnonzero(mask) for mask in masks], [lam])[0]
    np.testing.assert_allclose(sums, masks @ expected.T, rtol=1e-5)
    write_arrays(inputs.kernels, {"eigenvalues": eigenvalues}, {"identity": {**about, "seed": 2}})
    with pytest.raises(ArtifactError, match="its coordinates are those of"):
        read_attribution(config(method, "loss"), inputs)

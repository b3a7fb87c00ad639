"""EK-FAC as a file: read as written, and refused where it is not of this network."""

import numpy as np
import pytest
import torch
from fitted_curvature import DeepLinear, attention_network, fit, small_images
from tiny import images, network

from diffattr.artifacts import ArtifactError, read_arrays, write_arrays
from diffattr.features.curvature import EkFac


def test_a_file_gives_back_what_was_written(tmp_path):
    net = network()
    ekfac = fit(net, images(3))
    ekfac.write(tmp_path / "a.zarr.zip", {"model": "abc"})
    read = EkFac.read(tmp_path / "a.zarr.zip", network())
    assert read.layers == ekfac.layers
    gradients = torch.ones(2, ekfac.n_parameters)
    assert torch.equal(read(gradients), ekfac(gradients))
    assert torch.equal(read.eigenvalues, ekfac.eigenvalues)
    assert read_arrays(tmp_path / "a.zarr.zip").attribute("identity") == {"model": "abc"}


@pytest.mark.parametrize("make", [attention_network, DeepLinear])
def test_a_file_of_another_network_is_refused(tmp_path, make):
    path = tmp_path / "a.zarr.zip"
    fit(network(), images(3)).write(path, {})
    with pytest.raises(ArtifactError, match=r"a\.zarr\.zip: .*snakemake --force"):
        EkFac.read(path, make())
    if make is attention_network:
        fit(make(), images(3)).write(path, {})
        with pytest.raises(ArtifactError, match=r"a\.zarr\.zip: .*snakemake --force"):
            EkFac.read(path, network())


def test_a_file_with_a_layer_too_many_or_doubles_is_refused(tmp_path):
    net, path = DeepLinear(), tmp_path / "a.zarr.zip"
    fit(net, small_images(3, 2)).write(path, {})
    arrays = dict(read_arrays(path).arrays)
    write_arrays(path, {**arrays, "third:A": np.zeros((2, 2), np.float32)}, {})
    with pytest.raises(ArtifactError, match=r"third:A is float32 \(2, 2\), .* no such layer"):
        EkFac.read(path, net)
    write_arrays(path, {**arrays, "first:A": arrays["first:A"].astype(float)}, {})
    with pytest.raises(
        ArtifactError, match=r"first:A is float64 .* the network has float32 \(5, 5\)"
    ):
        EkFac.read(path, net)

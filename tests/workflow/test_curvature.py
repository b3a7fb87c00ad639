"""Methods on a curvature, on unit gradients and on further full models, added to a finished run."""

import numpy as np
import pytest

from diffattr.artifacts import read_arrays

pytestmark = pytest.mark.workflow

METHODS = {
    "ekfac-2": {"method": "ekfac", "features": "t2-curvature/loss"},
    "das-2": {"method": "das", "features": "t2-unit/mean"},
    "trak-2-full-2": {
        "method": "trak",
        "features": "t2/loss",
        "ensemble": {"of": "full", "count": 2},
    },
}


def test_methods_of_other_gradients_are_added_to_a_finished_benchmark(own_copy):
    taken = {"n_timesteps": 2, "noise": "common", "output_functions": ["loss", "mean"]}
    projected = {**taken, "projector": {"kind": "sjlt", "k": 64}}
    own_copy.config["curvatures"] = {
        "ekfac": {"n_timesteps": 2, "draws": 1, "approximation": "expand"}
    }
    own_copy.config["features"] |= {
        "t2": projected,
        "t2-unit": {**projected, "unit_gradients": True},
        "t2-curvature": {**taken, "projector": {"kind": "none"}, "curvature": "ekfac"},
    }
    own_copy.config["methods"] |= METHODS
    # One job for the training images of each pass.
    own_copy.config["jobs"]["images_per_shard"] = 48
    wanted = [
        f"results/smoke/{kind}/{name}/val{suffix}"
        for name in METHODS
        for kind, suffix in (("lds", ".json"), ("scores", ".zarr.zip"))
    ]
    own_copy.run(*wanted)
    place = own_copy.root / "scores"
    scores = {name: read_arrays(place / name / "val.zarr.zip")["scores"] for name in METHODS}
    for name in METHODS:
        assert np.isfinite(scores[name]).all()
        assert scores[name].std() > 0
    # The second full model was trained for the ensemble, and the finished one left alone.
    assert (own_copy.root / "models" / "full" / "seed-43").is_dir()
    assert own_copy.pending(wanted[0]) == {}

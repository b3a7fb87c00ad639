"""The comparisons of D-TRAK with TRAK that the paper's claims are about."""

from changed_config import benchmark

from diffattr.report.lds import d_trak_pairs


def test_d_trak_is_compared_with_trak_at_the_same_models_and_noise_on_no_fewer_timesteps():
    base = {
        "n_timesteps": 4,
        "noise": "common",
        "output_functions": ["loss", "mean-squared-l2-norm"],
        "projector": {"kind": "sjlt", "k": 64},
    }
    loss_alone = {"n_timesteps": 8, "output_functions": ["loss"]}
    square, two = "mean-squared-l2-norm", {"ensemble": {"of": "full", "count": 2}}
    changes = {
        "features": {
            "base": base,
            "longer": {**base, **loss_alone},
            "longest": {**base, "n_timesteps": 20},
            "noisier": {**base, **loss_alone, "noise": "per-image"},
        },
        "methods": {
            "random": {"method": "random"},
            "trak-4": {"method": "trak", "features": "base/loss"},
            "trak-8": {"method": "trak", "features": "longer/loss"},
            "trak-noise": {"method": "trak", "features": "noisier/loss"},
            "trak-two": {"method": "trak", "features": "base/loss", **two},
            "d-trak-4": {"method": "d-trak", "features": f"base/{square}"},
            "d-trak-20": {"method": "d-trak", "features": f"longest/{square}"},
            "kernel-20": {"method": "kernel", "features": "longest/loss"},
            "trak-20": {"method": "trak", "features": "longest/loss"},
        },
    }
    assert list(d_trak_pairs(benchmark(changes))) == [
        ("d-trak-4", "trak-4"),
        ("d-trak-4", "trak-8"),
        ("d-trak-4", "trak-20"),
        ("d-trak-20", "trak-20"),
    ]

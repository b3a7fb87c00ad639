"""Jobs on small files, each with the one of its files that a test replaces, and what refuses it."""

import json
import os
import runpy
from types import SimpleNamespace

import jaxtyping
import msgspec
import numpy as np
import pytest
from running import REPOSITORY
from tiny import MODEL, SCHEDULE, images, network

from diffattr import artifacts, rng
from diffattr.artifacts import ArtifactError
from diffattr.attribution.kernel import Kernel
from diffattr.attribution.store import write_kernel
from diffattr.config import Counterfactual, Curvature, Lds, Pass, ProjectorOptions
from diffattr.counterfactual.removals import Removal
from diffattr.diffusion.families import MODEL_FAMILIES
from diffattr.diffusion.models import write_network
from diffattr.features.curvature import EkFac
from diffattr.features.store import read_shards

WEIGHTS_FILE = MODEL_FAMILIES["unet2d"].weights_file


def refusal(read, path, wanted=None):
    with pytest.raises(ArtifactError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{wanted or path}: ")
    assert "snakemake --force" in text
    return text


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


class Files(list):
    """Paths with names, some of which stand for several, as Snakemake hands them to a script."""

    def __init__(self, named):
        listed = [[found] if isinstance(found, str) else found for found in named.values()]
        super().__init__(path for paths in listed for path in paths)
        self.__dict__ |= named

    def keys(self):
        return vars(self).keys()

    def get(self, name):
        return vars(self).get(name)


class Job:
    """One job's script, run as Snakemake runs it but in this process."""

    def __init__(self, folder, script, inputs, config, n_outputs=1):
        self.script, self.inputs, self.config = script, inputs, {"version": 1, **config}
        self.folder = folder
        self.outputs = [folder / f"output-{number}" for number in range(n_outputs)]

    def run(self):
        said = SimpleNamespace(
            rule=self.script,
            input=Files(self.inputs),
            output=[str(path) for path in self.outputs],
            wildcards={},
            params=SimpleNamespace(config=json.dumps(msgspec.to_builtins(self.config))),
            log=[str(self.folder / "log")],
            threads=1,
            resources={},
        )
        script = REPOSITORY / "scripts" / f"{self.script}.py"
        # Jobs check no shapes; tests do.
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            runpy.run_path(str(script), init_globals={"snakemake": said})
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    def refusal(self, capfd):
        """Return the sentence of a run that fails and has made nothing."""
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            self.run()
        assert stop.value.code == 1
        # Snakemake deletes what a failing job has written of its outputs.
        assert not any(artifacts.provenance_path(path).exists() for path in self.outputs)
        assert not list(self.folder.glob(".*.tmp-*"))
        said = capfd.readouterr().err
        assert said.startswith(f"ERROR in {self.script}: ")
        assert "Traceback" not in said
        return said


def written(path, **arrays):
    """Write a store; what is no array becomes an attribute."""
    attributes = {k: v for k, v in arrays.items() if not isinstance(v, np.ndarray)}
    artifacts.write_arrays(
        path, {k: v for k, v in arrays.items() if k not in attributes}, attributes
    )


def drawn(*shape):
    return rng.generator("hostile", *shape).standard_normal(shape).astype(np.float32)


ORDER = np.array([[7, 0, 2, 1, 3, 4, 5, 6], [1, 3, 5, 0, 2, 4, 6, 7]])
LISTS = {"proponents": ORDER, "opponents": ORDER[:, ::-1]}
OUTCOMES = {"samples": drawn(2, 1, 8, 8), "losses": drawn(2, 4), "queries": [0, 1]}
IDENTITY = {"model": "0f", "curvature": {"n_timesteps": 2}, "seed": 1}
N_STEPS = 3


def removals_job(tmp_path):
    """The subsets without the images that a method names, the first two for each of two queries."""
    path = tmp_path / "removals.zarr.zip"
    written(path, **LISTS, queries=[0, 1])
    config = {"side": "proponents", "members": [0, 1], "n_removed": 2, "n_train": 8}
    config["queries"] = [0, 1]
    return path, Job(tmp_path, "remaining", {"removals": str(path)}, config)


def comparison(tmp_path):
    """The comparison of two queries with what they became without random images."""
    files = {name: tmp_path / f"{name}.zarr.zip" for name in ("outcomes", "originals", "removals")}
    written(files["outcomes"], **OUTCOMES)
    written(files["removals"], **LISTS, queries=[0, 1])
    written(files["originals"], losses=drawn(2, 4), queries=[0, 1])
    artifacts.write_array(tmp_path / "gen.npy", drawn(4, 1, 8, 8))
    section = Counterfactual(
        n_queries=2,
        methods=("random",),
        fractions=(0.25,),
        retrain=(0.25,),
        opponents=False,
        seeds=(1,),
    )
    config = {
        "section": section,
        "embeddings": {},
        "removals": [Removal("random", "proponents", 0.25)],
        "random": "random",
        "blocks": [[0, 1]],
        "sizes": [[0.25, 2]],
        "n_train": 8,
        "n_timesteps": 4,
        "lds": Lds(folds=2, resamples=100, confidence=0.9),
        "noise_schedule": SCHEDULE,
        "seed": 1,
    }
    inputs = {
        "samples": str(tmp_path / "gen.npy"),
        "originals": str(files["originals"]),
        "removals": [str(files["removals"])],
        "outcomes": [str(files["outcomes"])],
    }
    return files, Job(tmp_path, "compare_redrawn", inputs, config)


def outcomes_job(tmp_path):
    files, job = comparison(tmp_path)
    return files["outcomes"], job


def originals_job(tmp_path):
    files, job = comparison(tmp_path)
    return files["originals"], job


def compared_removals_job(tmp_path):
    files, job = comparison(tmp_path)
    return files["removals"], job


def planted_job(tmp_path):
    """How a method ranks the copies of two planted queries."""
    path, ids = tmp_path / "scores.zarr.zip", {"train": np.arange(8), "queries": np.array([5, 3])}
    written(path, scores=drawn(2, 8), **{"lambda": 0.1})
    for name, positions in ids.items():
        artifacts.write_array(tmp_path / f"{name}.npy", positions)
    inputs = {name: str(tmp_path / f"{name}.npy") for name in ids} | {"scores": [str(path)]}
    return path, Job(tmp_path, "planted", inputs, {"methods": ["trak"]})


def scoring(tmp_path, method, inputs, weights=(), output_function=None):
    described = {
        "method": method,
        "options": {},
        "output_function": output_function,
        "weights": list(weights),
        "n_retrained": None,
    }
    return Job(tmp_path, "scores", inputs, {"method": described, "lambda": None})


def embedding_job(tmp_path):
    """The scores of embeddings."""
    path = tmp_path / "train.npy"
    artifacts.write_array(path, drawn(8, 5))
    artifacts.write_array(tmp_path / "val.npy", drawn(3, 5))
    inputs = {"train": str(path), "queries": str(tmp_path / "val.npy")}
    return path, scoring(tmp_path, "embedding-dot", inputs)


def selected_job(tmp_path):
    """The scores of TRAK at the lambda that a file names."""
    path, identity = tmp_path / "selected.json", {"projector": {"kind": "none"}}
    artifacts.write_json(path, {"lambda": 0.1})
    files = {side: tmp_path / f"{side}.zarr.zip" for side in ("train", "queries")}
    for n, shard in zip((8, 3), files.values(), strict=True):
        artifacts.write_arrays(shard, {"loss": drawn(n, 6)}, {"identity": identity})
    side = read_shards([str(files["train"])], "loss")
    write_kernel(tmp_path / "kernel.zarr.zip", Kernel.from_features(side.values), side)
    inputs = {side: [str(shard)] for side, shard in files.items()}
    inputs |= {"kernels": [str(tmp_path / "kernel.zarr.zip")], "selected": str(path)}
    return path, scoring(tmp_path, "trak", inputs, weights=(1.0,), output_function="loss")


def curvature_scores_job(tmp_path):
    """The scores of a method that solves with a curvature, in whose eigenbasis features are."""
    path = tmp_path / "curvature.zarr.zip"
    written(path, eigenvalues=np.abs(drawn(6)), identity=IDENTITY)
    identity = {"projector": {"kind": "curvature", **IDENTITY}}
    sides = {"train": tmp_path / "train.zarr.zip", "queries": tmp_path / "val.zarr.zip"}
    for n, shard in zip((8, 3), sides.values(), strict=True):
        artifacts.write_arrays(shard, {"loss": drawn(n, 6)}, {"identity": identity})
    inputs = {side: [str(shard)] for side, shard in sides.items()} | {"kernels": [str(path)]}
    return path, scoring(tmp_path, "ekfac", inputs, weights=(1.0,), output_function="loss")


def features_job(tmp_path, projector, n_steps, **inputs):
    weights = {name: tensor.detach() for name, tensor in network().state_dict().items()}
    write_network(tmp_path / "net", weights, MODEL)
    artifacts.write_array(tmp_path / "ids.npy", np.arange(2))
    taken = Pass(n_timesteps=2, noise="common", output_functions=("loss",), projector=projector)
    config = {
        "noise_schedule": SCHEDULE,
        "gradient_pass": taken,
        "seed": 1,
        "split": "gen",
        "sampling": n_steps and {"n_steps": n_steps, "steps_offset": 0},
        "images": [0, 2],
        "member": None,
    }
    files = {"network": tmp_path / "net" / WEIGHTS_FILE, "ids": tmp_path / "ids.npy", **inputs}
    files = {name: str(path) for name, path in files.items()}
    return Job(tmp_path, "features", files, config)


def curvature_features_job(tmp_path):
    """Features in the eigenbasis of a curvature."""
    path = tmp_path / "curvature.zarr.zip"
    fitted().write(path, IDENTITY)
    artifacts.write_array(tmp_path / "gen.npy", images(2))
    files = {"samples": tmp_path / "gen.npy", "curvature": path}
    return path, features_job(tmp_path, ProjectorOptions(kind="none"), None, **files)


def fitted():
    options = Curvature(n_timesteps=1, draws=1, approximation="expand")
    return EkFac.fit(network(), images(2), np.arange(2), SCHEDULE, options, 1)


def trajectories_job(tmp_path):
    """Features of two generated queries along the three steps of their trajectory."""
    path = tmp_path / "trajectory.npy"
    artifacts.write_array(path, drawn(2, N_STEPS, 1, 8, 8))
    return path, features_job(tmp_path, ProjectorOptions(kind="sjlt", k=16), N_STEPS, samples=path)


JOBS = {
    "removals": removals_job,
    "outcomes": outcomes_job,
    "originals": originals_job,
    "removals, compared": compared_removals_job,
    "planted": planted_job,
    "selected lambda": selected_job,
    "embedding": embedding_job,
    "curvature, by scores": curvature_scores_job,
    "curvature, by features": curvature_features_job,
    "trajectories": trajectories_job,
}

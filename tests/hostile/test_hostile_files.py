"""Files that an attacker, a failing disk or another program left: each gets a refusal in words."""

import json
import os
import runpy
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jaxtyping
import msgspec
import numpy as np
import pytest
import torch
from running import REPOSITORY
from safetensors.torch import save_file
from tiny import MODEL, SCHEDULE, images, network

from diffattr import artifacts, rng
from diffattr.artifacts import ArtifactError
from diffattr.attribution.kernel import Kernel
from diffattr.attribution.store import write_kernel
from diffattr.config import Counterfactual, Curvature, Lds, Pass, ProjectorOptions
from diffattr.counterfactual.removals import Removal
from diffattr.diffusion.families import MODEL_FAMILIES
from diffattr.diffusion.models import (
    CONFIG_FILE,
    read_block,
    read_network,
    write_block,
    write_network,
)
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


# --- .npy -------------------------------------------------------------------------------------


def npy(header):
    """Return an array file of this header and no data."""
    padded = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def shaped(shape, descr="<f8"):
    return npy(repr({"descr": descr, "fortran_order": False, "shape": shape}))


HEADERS = {
    "7 PiB": shaped((10**15,)),
    "more than 64 bits": shaped((10**21,)),
    "negative": shaped((-1,)),
    "objects": shaped((3,), "|O"),
    "no type": shaped((3,), "nonsense"),
    "keys of two types": npy("{1: 2, 'a': 3}"),
    "an open bracket": npy("{'descr': ("),
    "a call": npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (3,)}"),
    "deep": npy("(" * 9000),
}


@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mmap"])
@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_the_header_of_an_array_is_not_trusted(tmp_path, content, mmap):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    refusal(lambda path: artifacts.read_array(path, mmap=mmap), path)


def test_several_arrays_in_one_file_are_no_array(tmp_path):
    path = tmp_path / "a.npy"
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    (tmp_path / "a.npz").rename(path)
    refusal(artifacts.read_array, path)


# --- stores and JSON --------------------------------------------------------------------------


def test_a_member_named_outside_of_the_store_is_not_unpacked(tmp_path):
    path = tmp_path / "folder" / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(3)}, {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped", "x")
        archive.writestr(f"{tmp_path}/absolute", "x")
    refusal(artifacts.read_arrays, path)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["folder", "a.zarr.zip"]


def rewritten(source, target, change):
    """Copy a store member by member, through `change(name, content)`; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def test_a_store_whose_numbers_were_left_out_is_refused(tmp_path):
    # To zarr a missing chunk is a chunk of zeros.
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})
    rewritten(path, changed, lambda name, content: None if "/c/" in name else content)
    refusal(artifacts.read_arrays, changed)


def test_an_array_of_zeros_is_not_taken_for_one_whose_numbers_were_left_out(tmp_path):
    path = tmp_path / "a.zarr.zip"
    artifacts.write_arrays(path, {"a": np.zeros((2, 3)), "none": np.zeros((0, 3))}, {})
    stored = artifacts.read_arrays(path)
    assert stored["a"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert stored["none"].shape == (0, 3)


@pytest.mark.parametrize(
    "harm",
    [
        lambda metadata: metadata | {"shape": [10**15]},
        lambda metadata: metadata | {"shape": "many"},
        lambda metadata: metadata | {"data_type": "object"},
        lambda metadata: metadata | {"codecs": [{"name": "pickle"}]},
        lambda _: {},
        lambda _: [],
    ],
    ids=["7 PiB", "shape", "type", "codec", "empty", "list"],
)
def test_the_metadata_of_a_store_are_not_trusted(tmp_path, harm):
    path, changed = tmp_path / "a.zarr.zip", tmp_path / "changed.zarr.zip"
    artifacts.write_arrays(path, {"a": np.arange(1, 4)}, {})

    def change(name, content):
        return json.dumps(harm(json.loads(content))) if name == "a/zarr.json" else content

    rewritten(path, changed, change)
    refusal(artifacts.read_arrays, changed)


def test_json_without_an_end_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    refusal(artifacts.read_json, path)


# --- models -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights():
    return {name: tensor.detach() for name, tensor in network().state_dict().items()}


@pytest.fixture
def folder(tmp_path, weights):
    write_network(tmp_path / "net", weights, MODEL)
    return tmp_path / "net"


def test_a_network_without_some_of_its_weights_is_refused_and_not_filled_with_noise(
    folder, weights
):
    part = {name: tensor for name, tensor in weights.items() if "conv_out" not in name}
    save_file(part, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


def test_a_network_with_weights_too_many_is_refused(folder, weights):
    more = {**weights, "extra": torch.zeros(2)}
    save_file(more, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


@pytest.mark.parametrize(
    "config",
    ["[]", "{}", '{"a": 1}', "{", json.dumps({**MODEL.config, "block_out_channels": [8, 8]})],
)
def test_a_network_whose_config_is_not_its_own_is_refused(folder, config):
    (folder / CONFIG_FILE).write_text(config)
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)


def test_pickled_weights_are_not_read_in_place_of_missing_ones(folder, tmp_path, weights):
    # diffusers falls back on a .bin file beside, which torch reads by unpickling.
    (folder / WEIGHTS_FILE).unlink()
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    torch.save({"a": Payload(tmp_path / "trace")}, folder / "diffusion_pytorch_model.bin")
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    assert not (tmp_path / "trace").exists()


@pytest.fixture
def connections(monkeypatch):
    """The connections that were tried, none of which comes about."""
    tried = []

    def connect(*arguments, **_):
        tried.append(arguments)
        raise OSError("no connection in tests")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    return tried


def test_a_missing_network_is_not_looked_for_on_the_internet(tmp_path, monkeypatch, connections):
    monkeypatch.chdir(tmp_path)
    refusal(read_network, Path("google", "ddpm", WEIGHTS_FILE), wanted="google/ddpm")
    assert connections == []


def test_a_config_that_names_a_network_on_the_internet_is_not_followed(folder, connections):
    (folder / CONFIG_FILE).write_text('"google/ddpm-cifar10-32"')
    refusal(read_network, folder / WEIGHTS_FILE, wanted=folder)
    assert connections == []


ABOUT = {"family": "unet2d", "config": MODEL.config, "subsets": [3, 4]}
METADATA = {
    "none": None,
    "another program's": {"format": "pt"},
    "not JSON": {"diffattr": "{"},
    "a list": {"diffattr": "[]"},
    "no subsets": {"diffattr": json.dumps({"family": "unet2d", "config": MODEL.config})},
    "a family that is not there": {"diffattr": json.dumps({**ABOUT, "family": "os"})},
    "another config": {
        "diffattr": json.dumps({**ABOUT, "config": {**MODEL.config, "layers_per_block": 2}})
    },
    "a config that no family takes": {"diffattr": json.dumps({**ABOUT, "config": {"x": 1}})},
    "more subsets than models": {"diffattr": json.dumps({**ABOUT, "subsets": [1, 2, 3]})},
    "fewer subsets than models": {"diffattr": json.dumps({**ABOUT, "subsets": [1]})},
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_the_metadata_of_a_block_are_not_trusted(tmp_path, weights, metadata):
    path = tmp_path / "block-0.safetensors"
    stacked = {name: torch.stack([tensor, tensor]) for name, tensor in weights.items()}
    write_block(path, stacked, MODEL, [3, 4])
    assert read_block(path)[0] == [3, 4]
    save_file(stacked, path, metadata=metadata)
    refusal(read_block, path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8 + b"{}", (10**9).to_bytes(8, "little") + b"{}", b"\x80\x04K*."]
)
def test_the_length_that_a_block_claims_is_not_trusted(tmp_path, content):
    path = tmp_path / "block-0.safetensors"
    path.write_bytes(content)
    refusal(read_block, path)


# --- what jobs read ---------------------------------------------------------------------------


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
every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


@every_job
def test_a_job_reads_what_was_made_for_it(tmp_path, job):
    _, made = job(tmp_path)
    made.run()
    assert all(path.stat().st_size > 0 for path in made.outputs)


@every_job
def test_a_job_sets_a_damaged_file_aside(tmp_path, capfd, job):
    path, made = job(tmp_path)
    record = {"checksum": artifacts.checksum(path)}
    artifacts.write_json(artifacts.provenance_path(path), record)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{path}: is damaged: " in made.refusal(capfd)
    assert not path.exists()
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content


@every_job
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY\x01\x00", b"[]" * 50])
def test_a_job_names_the_file_that_it_cannot_read(tmp_path, capfd, job, content):
    path, made = job(tmp_path)
    path.write_bytes(content)
    assert f"{path}: is not a readable " in made.refusal(capfd)


@every_job
def test_a_job_unpickles_nothing(tmp_path, capfd, job):
    path, made = job(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.array([Payload(tmp_path / "trace")]), allow_pickle=True)
    assert f"{path}: is not a readable " in made.refusal(capfd)
    assert not (tmp_path / "trace").exists()


def lists(**changes):
    return lambda path: written(path, **{**LISTS, "queries": [0, 1], **changes})


def outcomes(**changes):
    return lambda path: written(path, **{**OUTCOMES, **changes})


def array(*shape):
    return lambda path: artifacts.write_array(path, drawn(*shape))


def originals(**changes):
    return lambda path: written(path, **{"losses": drawn(2, 4), "queries": [0, 1], **changes})


def content(value):
    # Not by write_json, which refuses what is no JSON.
    return lambda path: path.write_text(json.dumps(value))


def curvature(**arrays):
    return lambda path: written(path, **arrays)


def curvature_of_another_network(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    name = next(name for name in stored.arrays if name.endswith(":A"))
    smaller = {**stored.arrays, name: stored[name][1:, 1:]}
    written(path, **smaller, identity=IDENTITY)


def curvature_without_a_layer(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    _, *names = stored.arrays
    written(path, **{name: stored[name] for name in names}, identity=IDENTITY)


def curvature_without_identity(path):
    fitted().write(path, IDENTITY)
    written(path, **artifacts.read_arrays(path).arrays)


def curvature_of_no_numbers(path):
    fitted().write(path, IDENTITY)
    stored = artifacts.read_arrays(path)
    nothing = {name: np.full_like(values, np.nan) for name, values in stored.arrays.items()}
    written(path, **nothing, identity=IDENTITY)


# The file that is read, what stands in it instead, and words of the refusal.
CONTENTS = [
    pytest.param(
        removals_job,
        lambda path: written(path, opponents=LISTS["opponents"]),
        "has no array 'proponents', only opponents",
        id="removals of one side",
    ),
    pytest.param(
        removals_job,
        lists(proponents=ORDER[:, :1]),
        "proponents are not all 8 training images",
        id="removals of fewer images",
    ),
    pytest.param(
        removals_job,
        lists(proponents=ORDER + 1),
        "proponents are not all 8 training images",
        id="removals of an image that is not there",
    ),
    pytest.param(
        removals_job,
        lists(proponents=np.where(ORDER == 0, 7, ORDER)),
        "proponents are not all 8 training images",
        id="removals of one image twice",
    ),
    pytest.param(
        removals_job,
        lists(proponents=ORDER[:1]),
        "proponents are not all 8 training images",
        id="removals for fewer queries",
    ),
    pytest.param(
        removals_job,
        lists(queries=[5, 6]),
        "of queries [5, 6], expected [0, 1]",
        id="removals of other queries",
    ),
    pytest.param(
        removals_job,
        lists(proponents=np.where(ORDER == 7, np.nan, ORDER.astype(float))),
        "proponents are not all 8 training images",
        id="removals that are no numbers",
    ),
    pytest.param(
        removals_job,
        lists(proponents=ORDER.astype(np.float32)),
        "proponents are not all 8 training images",
        id="removals that are no whole numbers",
    ),
    pytest.param(
        compared_removals_job,
        lists(proponents=ORDER[:, :1]),
        "proponents are not all 8 training images",
        id="removals of fewer images, compared",
    ),
    pytest.param(
        originals_job,
        originals(queries=[2, 3]),
        "of queries [2, 3], expected [0, 1]",
        id="originals of other queries",
    ),
    pytest.param(
        originals_job,
        originals(losses=drawn(1, 4)),
        "losses of shape (1, 4), expected (2, 4)",
        id="originals of one query",
    ),
    pytest.param(
        originals_job,
        originals(losses=np.full((2, 4), np.nan, np.float32)),
        "holds losses that are not finite numbers",
        id="originals that are no numbers",
    ),
    *(
        pytest.param(
            selected_job,
            content(value),
            "is not a readable selected lambda",
            id=f"selected lambda {value!r}",
        )
        for value in ({}, [], None, {"lambda": None}, {"lambda": True}, {"lambda": -5.0})
    ),
    pytest.param(
        selected_job,
        content({"lambda": float("nan")}),
        "lambda is nan",
        id="selected lambda that is no number",
    ),
    pytest.param(
        planted_job,
        lambda path: written(path, scores=drawn(2, 8)),
        "has no attribute 'lambda'",
        id="planted scores without lambda",
    ),
    pytest.param(
        outcomes_job,
        lambda path: written(path, samples=OUTCOMES["samples"], queries=[0, 1]),
        "has no array 'losses', only samples",
        id="outcomes without losses",
    ),
    pytest.param(
        outcomes_job,
        outcomes(samples=drawn(1, 1, 8, 8), losses=drawn(1, 4)),
        "samples of shape (1, 1, 8, 8), expected (2, 1, 8, 8)",
        id="outcomes of one query",
    ),
    pytest.param(
        outcomes_job,
        outcomes(queries=[2, 3]),
        "of queries [2, 3], expected [0, 1]",
        id="outcomes of other queries",
    ),
    pytest.param(
        outcomes_job,
        outcomes(samples=drawn(2, 1, 4, 4)),
        "samples of shape (2, 1, 4, 4), expected (2, 1, 8, 8)",
        id="outcomes of another size",
    ),
    pytest.param(
        outcomes_job,
        outcomes(samples=np.full((2, 1, 8, 8), np.nan, np.float32)),
        "holds samples that are not finite numbers",
        id="outcomes that are no numbers",
    ),
    pytest.param(
        embedding_job,
        array(8, 4),
        "has 4; rebuild both",
        id="embedding of another length",
    ),
    pytest.param(
        embedding_job,
        lambda path: artifacts.write_array(path, np.full((8, 5), np.nan, np.float32)),
        "contains NaN or infinity",
        id="embedding that is no numbers",
    ),
    pytest.param(
        curvature_scores_job,
        curvature(identity=IDENTITY),
        "has no array 'eigenvalues'",
        id="curvature without eigenvalues",
    ),
    pytest.param(
        curvature_scores_job,
        curvature(eigenvalues=np.abs(drawn(6)), identity={**IDENTITY, "model": "f0"}),
        "its coordinates are those of",
        id="curvature of another model",
    ),
    pytest.param(
        curvature_scores_job,
        curvature(eigenvalues=np.abs(drawn(5)), identity=IDENTITY),
        "expected 6 finite ones",
        id="curvature of fewer coordinates",
    ),
    pytest.param(
        curvature_features_job,
        curvature_of_another_network,
        "a curvature belongs to one network",
        id="curvature of another network",
    ),
    pytest.param(
        curvature_features_job,
        curvature_without_a_layer,
        "has no array ",
        id="curvature without a layer",
    ),
    pytest.param(
        curvature_features_job,
        curvature_without_identity,
        "has no attribute 'identity'",
        id="curvature without identity",
    ),
    pytest.param(
        curvature_features_job,
        curvature_of_no_numbers,
        "finite",
        id="curvature that is no numbers",
    ),
    pytest.param(
        trajectories_job,
        array(2, 1, 8, 8),
        "of shape (2, 1, 8, 8), expected (2, 3, 1, 8, 8)",
        id="images in place of trajectories",
    ),
    pytest.param(
        trajectories_job,
        array(1, N_STEPS, 1, 8, 8),
        "of shape (1, 3, 1, 8, 8), expected (2, 3, 1, 8, 8)",
        id="trajectories of one image",
    ),
    pytest.param(
        trajectories_job,
        lambda path: artifacts.write_array(path, np.full((2, N_STEPS, 1, 8, 8), np.nan, "f4")),
        "holds numbers that are not finite",
        id="trajectories that are no numbers",
    ),
    pytest.param(
        trajectories_job,
        array(2, 1, 1, 8, 8),
        "of shape (2, 1, 1, 8, 8), expected (2, 3, 1, 8, 8)",
        id="trajectories of one step",
    ),
    pytest.param(
        trajectories_job,
        array(2, N_STEPS + 1, 1, 8, 8),
        "of shape (2, 4, 1, 8, 8), expected (2, 3, 1, 8, 8)",
        id="trajectories of other steps",
    ),
    pytest.param(
        trajectories_job,
        array(2, N_STEPS, 3, 8, 8),
        "of shape (2, 3, 3, 8, 8), expected (2, 3, 1, 8, 8)",
        id="trajectories in colour",
    ),
]


@pytest.mark.parametrize(("job", "write", "words"), CONTENTS)
def test_a_job_names_the_file_whose_content_is_not_what_it_needs(
    tmp_path, capfd, job, write, words
):
    path, made = job(tmp_path)
    write(path)
    said = made.refusal(capfd)
    assert str(path) in said
    assert words in said

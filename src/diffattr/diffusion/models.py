"""Building, evaluating, writing and reading networks of any family."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from diffattr import rng
from diffattr.artifacts import ArtifactError, read_array, readable, write_tensors, write_text
from diffattr.config import ConfigError, Model
from diffattr.diffusion.families import MODEL_FAMILIES, Captions, family

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "config.json"
_METADATA, _FAMILY = "diffattr", "diffattr_family"


def build(model: Model, seed: int, captions: Captions | None = None) -> "torch.nn.Module":
    """Return the network with the initial weights of a seed.

    Raises:
        ConfigError: the config does not fit the family.
    """
    try:
        with rng.torch_seeded(seed, "initial-weights"):
            return family(model.family).network(model.config, captions)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.config: does not fit {model.family}: {error}") from error


def trained_parameters(network: "torch.nn.Module") -> dict[str, "torch.Tensor"]:
    """Return the parameters that are trained, stored and differentiated."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def n_trained(network: "torch.nn.Module") -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in trained_parameters(network).values())


def slices(n: int, batch_size: int, what: str) -> Iterator[slice]:
    """Yield the slice of every batch of `n` items, with a progress bar in the log."""
    for start in tqdm(range(0, n, batch_size), desc=what, unit="batch", mininterval=10):
        yield slice(start, start + batch_size)


def check_channels(network: Any, n_channels: int) -> None:
    """Raise a `ConfigError` if a network expects another number of channels than images have."""
    if n_channels != (expected := network.config["in_channels"]):
        raise ConfigError(
            f"model: the images have {n_channels} channels, the network expects {expected}; convert"
            " the images, or name another model"
        )


def predict(
    network: "torch.nn.Module",
    noised: "torch.Tensor",
    timesteps: "torch.Tensor",
    labels: "torch.Tensor | None" = None,
    parameters: "dict[str, torch.Tensor] | None" = None,
) -> "torch.Tensor":
    """Return the predicted noise, float32 (image, channel, height, width).

    `noised` are images at their timesteps, float32 (image, channel, height, width); `timesteps` are
    int64 (image,), and so are `labels`, each image's caption, None for networks without captions.
    `parameters` replace the network's own of the same names.
    """
    options: dict[str, Any] = {"return_dict": False}
    if labels is not None:
        options["labels"] = labels
    if parameters is None:
        return network(noised, timesteps, **options)[0]
    from torch.func import functional_call

    return functional_call(network, parameters, (noised, timesteps), options)[0]


def write_block(
    path: str | Path, weights: Mapping[str, "torch.Tensor"], model: Model, subsets: list[int]
) -> None:
    """Write the models of one block: one tensor (member, ...) per parameter."""
    about = {"family": model.family, "config": model.config, "subsets": subsets}
    write_tensors(path, weights, {_METADATA: json.dumps(about, sort_keys=True)})


def read_block(
    path: str | Path, captions: Captions | None = None
) -> tuple[list[int], list["torch.nn.Module"]]:
    """Return the subsets of one block and their models, in evaluation mode.

    Raises:
        ArtifactError: the file is missing or damaged, lacks metadata, or does not hold one value of
            every trained weight per subset.
    """
    from safetensors import safe_open

    networks = []
    with readable(path, "block of models"):
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[_METADATA])
            stacked = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        subsets = about["subsets"]
        if any(len(tensor) != len(subsets) for tensor in stacked.values()):
            raise ValueError(f"its tensors do not hold {len(subsets)} models")
        for member in range(len(subsets)):
            network = family(about["family"]).network(about["config"], captions)
            _load(network, {name: tensor[member] for name, tensor in stacked.items()})
            networks.append(network.eval())
    return subsets, networks


def _load(network: "torch.nn.Module", weights: Mapping[str, "torch.Tensor"]) -> None:
    """Load trained weights, whose names and shapes must be those of the network's."""
    expected = trained_parameters(network)
    if set(expected) != set(weights):
        missing, unexpected = set(expected) - set(weights), set(weights) - set(expected)
        raise ValueError(
            f"{len(missing)} weights of the network are missing, {len(unexpected)} are unexpected"
            f" ({', '.join(sorted(missing | unexpected)[:2])}, ...)"
        )
    for name, parameter in expected.items():
        if parameter.shape != weights[name].shape:
            raise ValueError(
                f"{name} has shape {tuple(weights[name].shape)}, the network expects"
                f" {tuple(parameter.shape)}"
            )
        parameter.data.copy_(weights[name])


def read_member(
    path: str | Path, subset: int, captions: Captions | None = None
) -> "torch.nn.Module":
    """Return the model of one subset in a block, in evaluation mode.

    Raises:
        ArtifactError: the block is missing, damaged or without this subset.
    """
    subsets, networks = read_block(path, captions)
    if subset not in subsets:
        raise ArtifactError(
            f"{path}: holds subsets {subsets}, expected {subset} among them; rebuild it:"
            f" snakemake --force {path}"
        )
    return networks[subsets.index(subset)]


def write_network(folder: str | Path, weights: Mapping[str, "torch.Tensor"], model: Model) -> None:
    """Write one model in diffusers' layout.

    `UNet2DModel.from_pretrained` reads the folder of a network, a pipeline's `load_lora_weights`
    that of a LoRA.
    """
    about = family(model.family).saved_config(model.config)
    if model.family != "unet2d":  # configs of diffusers stay as diffusers writes them
        about = {**about, _FAMILY: model.family}
    on_disk = {_on_disk(name): tensor for name, tensor in weights.items()}
    path = Path(folder) / MODEL_FAMILIES[model.family].weights_file
    write_tensors(path, on_disk, {"format": "pt"})
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    write_text(Path(folder) / CONFIG_FILE, text)


def _on_disk(name: str) -> str:
    """Return a weight's name without the adapter's name, which peft inserts and diffusers omits."""
    return name.replace(".default.", ".")


def write_networks(
    folder: str | Path,
    weights_by_step: Mapping[int, Mapping[str, "torch.Tensor"]],
    model: Model,
) -> None:
    """Write a run's last weights into `folder`, earlier ones into its checkpoints/<step>.

    The tensors have a leading member axis of length 1.
    """
    for step, weights in weights_by_step.items():
        place = Path(folder)
        if step != max(weights_by_step):
            place = place / "checkpoints" / str(step)
        write_network(place, {name: tensor[0] for name, tensor in weights.items()}, model)


def read_network(weights: str | Path, captions: Captions | None = None) -> "torch.nn.Module":
    """Return one model, in evaluation mode, from the path of its weights in diffusers' layout.

    Does not use diffusers' `from_pretrained`, which initialises missing weights randomly, falls
    back on pickled weights, and looks for missing folders on the internet.

    Raises:
        ArtifactError: config or weights are missing, damaged, or do not match.
    """
    from safetensors.torch import load_file

    folder = Path(weights).parent
    with readable(folder, "model", rebuild=weights):
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if not isinstance(config, dict):  # diffusers reads a string as the name of an online model
            raise ValueError(f"{CONFIG_FILE} is not a mapping")
        kind = config.pop(_FAMILY, "unet2d")
        network = family(kind).network(config, captions)
        in_network = {_on_disk(name): name for name in trained_parameters(network)}
        found = load_file(weights)
        _load(network, {in_network.get(name, name): tensor for name, tensor in found.items()})
        return network.eval()


def read_captions(path: str | Path | None) -> Captions | None:
    """Return the text embeddings of a benchmark's captions, None without a path.

    Raises:
        ArtifactError: the file is missing or damaged, or not finite float32 (caption, token, dim).
    """
    if path is None:
        return None
    captions = read_array(path)
    with readable(path, "table of captions"):
        if captions.ndim != 3 or captions.dtype != np.float32:
            raise ValueError(
                f"of {captions.dtype} {captions.shape}, expected float32 (caption, token, dim)"
            )
        if not np.isfinite(captions).all():
            raise ValueError("holds numbers that are not finite")
    return captions


def read_model(
    files: Any, member: int | None, checksums: Mapping[str, str]
) -> tuple["torch.nn.Module", str]:
    """Return a model of a benchmark from its files, and its identity.

    `files` has `network` for a full model, `block` for the model of subset `member`, and `captions`
    for text-conditioned networks.
    """
    captions = read_captions(files.get("captions"))
    if member is None:
        return read_network(files.network, captions), checksums[files.network]
    network = read_member(files.block, member, captions)
    return network, f"{checksums[files.block]}, subset {member}"

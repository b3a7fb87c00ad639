"""Networks: a family is one function from its config to a module, and one line in the registry."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffattr import rng
from diffattr.artifacts import ArtifactError, beside, readable
from diffattr.config import ConfigError, Model

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
CONFIG_FILE = "config.json"
_METADATA = "diffattr"


def unet2d(config: Mapping[str, Any]) -> "torch.nn.Module":
    """Return diffusers' `UNet2DModel`; `config` holds its constructor's arguments."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    return UNet2DModel(**config)


MODEL_FAMILIES: dict[str, Callable[[Mapping[str, Any]], "torch.nn.Module"]] = {"unet2d": unet2d}


def build(model: Model, seed: int) -> "torch.nn.Module":
    """Return the network with the initial weights of a seed.

    Raises:
        ConfigError: the family does not take this config.
    """
    try:
        with rng.torch_seeded(seed, "initial-weights"):
            return MODEL_FAMILIES[model.family](model.config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.config: {model.family} does not take it: {error}") from error


def predict(
    network: "torch.nn.Module", noised: "torch.Tensor", timesteps: "torch.Tensor"
) -> "torch.Tensor":
    """Return the predicted noise (image, channel, height, width)."""
    return network(noised, timesteps, return_dict=False)[0]


def write_block(
    path: str | Path,
    weights: Mapping[str, "torch.Tensor"],
    model: Model,
    subsets: list[int],
) -> None:
    """Write the models of one block: one tensor (member, ...) per parameter.

    The metadata has one key only: safetensors writes several in an order that changes.
    """
    from safetensors.torch import save_file

    about = {"family": model.family, "config": model.config, "subsets": subsets}
    with beside(path) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in weights.items()},
            temporary,
            metadata={_METADATA: json.dumps(about, sort_keys=True)},
        )


def read_block(path: str | Path) -> tuple[list[int], list["torch.nn.Module"]]:
    """Return the subsets of one block and their models, in evaluation mode, in that order."""
    from safetensors import safe_open

    networks = []
    with readable(path, "block of models"):
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()[_METADATA])
            stacked = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        subsets = about["subsets"]
        if any(len(tensor) != len(subsets) for tensor in stacked.values()):
            raise ValueError(f"its tensors are not those of {len(subsets)} models")
        for member in range(len(subsets)):
            network = MODEL_FAMILIES[about["family"]](about["config"])
            network.load_state_dict({name: tensor[member] for name, tensor in stacked.items()})
            networks.append(network.eval())
    return subsets, networks


def read_member(path: str | Path, subset: int) -> "torch.nn.Module":
    """Return the model of one subset out of its block, in evaluation mode.

    Raises:
        ArtifactError: the block is damaged or holds other subsets.
    """
    subsets, networks = read_block(path)
    if subset not in subsets:
        raise ArtifactError(
            f"{path}: holds models of subsets {subsets}, not of {subset}; remake it:"
            f" snakemake --force {path}"
        )
    return networks[subsets.index(subset)]


def write_network(
    directory: str | Path, weights: Mapping[str, "torch.Tensor"], model: Model
) -> None:
    """Write one model in diffusers' layout, so that `UNet2DModel.from_pretrained` reads it."""
    from safetensors.torch import save_file

    network: Any = MODEL_FAMILIES[model.family](model.config)
    with beside(Path(directory) / WEIGHTS_FILE) as temporary:
        contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
        save_file(contiguous, temporary, metadata={"format": "pt"})
    with beside(Path(directory) / CONFIG_FILE) as temporary:
        network.to_json_file(temporary)


def write_networks(
    folder: str | Path, weights_by_step: Mapping[int, Mapping[str, "torch.Tensor"]], model: Model
) -> None:
    """Write a run's last weights into `folder`, earlier ones into its checkpoints/<step>.

    The tensors have a leading member axis of length 1.
    """
    for step, weights in weights_by_step.items():
        place = Path(folder)
        if step != max(weights_by_step):
            place = place / "checkpoints" / str(step)
        write_network(place, {name: tensor[0] for name, tensor in weights.items()}, model)


def read_network(weights: str | Path) -> "torch.nn.Module":
    """Return one model, in evaluation mode, from the path of its weights in diffusers' layout.

    Not by diffusers' own `from_pretrained`, which fills missing weights with noise, falls back on
    pickled ones, and looks for a missing folder on the internet.

    Raises:
        ArtifactError: config or weights are missing, damaged, or do not belong together.
    """
    from diffusers.models.unets.unet_2d import UNet2DModel
    from safetensors.torch import load_file

    folder = Path(weights).parent
    with readable(folder, "model", remake=weights):
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if not isinstance(config, dict):  # diffusers takes a text for the name of an online model
            raise ValueError(f"{CONFIG_FILE} holds no mapping")
        network: Any = UNet2DModel.from_config(config)
        network.load_state_dict(load_file(weights))
        return network.eval()


def read_model(
    files: Any, member: int | None, checksum: Callable[[str], str]
) -> tuple["torch.nn.Module", str]:
    """Return a model of a benchmark from its files, and what tells it from every other.

    `files` has `network` for a full model, `block` for the model of subset `member`.
    """
    if member is None:
        return read_network(files.network), checksum(files.network)
    return read_member(files.block, member), f"{checksum(files.block)}, subset {member}"

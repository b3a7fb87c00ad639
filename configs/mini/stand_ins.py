"""Stand-ins for the data of the mini benchmarks: drawn data sets and tiny untrained pipelines.

    python configs/mini/stand_ins.py cifar10 data/mini/cifar10
    python configs/mini/stand_ins.py pipeline data/mini/pipeline

Their files have the layout of the real ones. Images of a class share shape and colour, so that a
small model can learn them; the pipelines generate noise. The same seed gives the same files.
"""

import argparse
import colorsys
import csv
import json
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from diffattr import rng
from diffattr.artifacts import atomic_write
from diffattr.data import artbench, celeba, cifar10

Colour = tuple[int, int, int]
STYLES = ("baroque", "post_impressionism", "renaissance", "romanticism", "ukiyo_e")


def draw_class(label: int, size: tuple[int, int], *key: str | int) -> Image.Image:
    """Return one image of a class: its shape at a random position on a dull background."""
    generator = rng.generator("stand-ins", label, *key)
    ground = tuple(generator.integers(40, 90, 3).tolist())
    image = Image.new("RGB", size, ground)
    side = min(size) * generator.uniform(0.4, 0.6)
    left, top = (generator.uniform(0, length - side) for length in size)
    box = (left, top, left + side, top + side)
    hue = (0.1 * label + generator.uniform(-0.02, 0.02)) % 1
    draw, colour = ImageDraw.Draw(image), _colour(hue, 1.0)
    match label % 3:
        case 0:
            draw.ellipse(box, fill=colour)
        case 1:
            draw.rectangle(box, fill=colour)
        case _:
            top_middle = (left + side / 2, top)
            draw.polygon([(left, box[3]), box[2:], top_middle], fill=colour)
    return image


def _colour(hue: float, value: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.9, value))
    return red, green, blue


def write_cifar10(folder: Path, seed: int) -> None:
    """Write five batches of 60 images and a test batch of 100, in the binary layout."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {**{f"data_batch_{batch}": 60 for batch in range(1, 6)}, "test_batch": 100}
    for name, n in sizes.items():
        rows = []
        for number, label in enumerate(_labels(n, len(cifar10.NAMES), name, seed)):
            pixels = np.asarray(draw_class(label, (32, 32), name, number, seed))
            rows.append(bytes([label]) + pixels.transpose(2, 0, 1).tobytes())
        (folder / f"{name}.bin").write_bytes(b"".join(rows))
    (folder / "batches.meta.txt").write_text("\n".join(cifar10.NAMES) + "\n")


def write_celeba(folder: Path, seed: int) -> None:
    """Write 200, 80 and 20 faces of the three partitions."""
    (folder / celeba.IMAGES).mkdir(parents=True, exist_ok=True)
    lines = []
    for number, partition in enumerate([0] * 200 + [1] * 80 + [2] * 20, start=1):
        name = f"{number:06d}.jpg"
        _face(number, seed).save(folder / celeba.IMAGES / name, quality=95)
        lines.append(f"{name} {partition}\n")
    (folder / celeba.PARTITIONS).write_text("".join(lines))


def _face(number: int, seed: int) -> Image.Image:
    generator = rng.generator("stand-ins", "face", number, seed)
    image = Image.new("RGB", celeba.SIZE, _colour(generator.uniform(0.5, 0.7), 0.5))
    draw = ImageDraw.Draw(image)
    x, y = 89 + generator.uniform(-6, 6), 112 + generator.uniform(-6, 6)
    width, height = generator.uniform(32, 44), generator.uniform(46, 58)
    skin = _colour(generator.uniform(0.05, 0.1), generator.uniform(0.6, 1.0))
    draw.ellipse((x - width, y - height, x + width, y + height), fill=skin)
    for side in (-1, 1):
        eye = x + side * width / 2.5, y - height / 5
        draw.ellipse((eye[0] - 5, eye[1] - 4, eye[0] + 5, eye[1] + 4), fill=(20, 20, 30))
    smile = generator.uniform(4, 14)
    draw.rectangle((x - 14, y + height / 2, x + 14, y + height / 2 + smile), fill=(150, 40, 50))
    return image


def write_artbench(folder: Path, seed: int) -> None:
    """Write 60 training and 24 test images of each of five styles, and their shuffled table."""
    rows = []
    for label, style in enumerate(STYLES):
        (folder / artbench.IMAGES / style).mkdir(parents=True, exist_ok=True)
        for number in range(84):
            name = f"{style}-{number:03d}.jpg"
            image = draw_class(label, artbench.SIZE, "artbench", number, seed)
            image.save(folder / artbench.IMAGES / style / name, quality=95)
            rows.append({"name": name, "label": style, "split": "train" if number < 60 else "test"})
    rng.generator("stand-ins", "rows", seed).shuffle(rows)
    columns = ["name", "artist", "url", "is_public_domain", "length", "width", "label", "split"]
    with (folder / artbench.TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def write_images(folder: Path, seed: int) -> None:
    """Write 80 images, 96x80, in each of two folders."""
    for label, name in enumerate(("discs", "squares")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(80):
            draw_class(label, (96, 80), "images", number, seed).save(
                folder / name / f"{number:03d}.png"
            )


def _labels(n: int, n_classes: int, *key: str | int) -> list[int]:
    return (rng.generator("stand-ins", "labels", *key).permutation(n) % n_classes).tolist()


def write_ddpm(folder: Path, seed: int, resolution: int = 16) -> None:
    """Write an unconditional pipeline with a small network."""
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    with rng.torch_seeded(seed, "stand-in-ddpm"):
        unet = UNet2DModel(
            sample_size=resolution,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
        )
    with atomic_write(folder) as place:
        DDPMPipeline(unet, DDPMScheduler()).save_pretrained(place)


def write_pipeline(folder: Path, seed: int) -> None:
    """Write a Stable Diffusion pipeline for 32 pixels with latents 4x16x16.

    Needs the extra `text-to-image`.
    """
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = _vocabulary()
    with rng.torch_seeded(seed, "stand-in-pipeline"):
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=2,
            cross_attention_dim=16,
        )
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            norm_num_groups=4,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(words),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                bos_token_id=words["<|startoftext|>"],
                eos_token_id=words["<|endoftext|>"],
                pad_token_id=words["<|endoftext|>"],
            )
        )
    with atomic_write(folder) as place:
        place.mkdir()
        files = {"vocab.json": json.dumps(words), "merges.txt": "#version: 0.2\n"}
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
        tokenizer = CLIPTokenizer(*(str(place / name) for name in files), model_max_length=77)
        for name in files:
            (place / name).unlink()
        StableDiffusionPipeline(
            unet=unet,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(place)


def _vocabulary() -> dict[str, int]:
    """Return CLIP tokens: characters, inside and at the end of words, and the two markers."""
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


DATA_SETS: dict[str, Callable[[Path, int], None]] = {
    "artbench": write_artbench,
    "celeba": write_celeba,
    "cifar10": write_cifar10,
    "images": write_images,
}
PIPELINES: dict[str, Callable[[Path, int], None]] = {"ddpm": write_ddpm, "pipeline": write_pipeline}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the stand-in named on the command line."""
    parser = argparse.ArgumentParser(description="Write a small stand-in for data or a pipeline.")
    writers = DATA_SETS | PIPELINES
    parser.add_argument("kind", choices=sorted(writers))
    parser.add_argument("folder", type=Path, help="where to write it; created if missing")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    writers[chosen.kind](chosen.folder, chosen.seed)


if __name__ == "__main__":
    main()

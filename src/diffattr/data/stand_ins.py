"""Small drawn data sets in the layouts of the real ones, for tests and trials without these.

    python -m diffattr.data.stand_ins artbench some/folder --seed 0

The images of a class are alike in shape and colour, so that a small model can learn them. The same
seed gives the same files.
"""

import argparse
import colorsys
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from diffattr import rng
from diffattr.data import artbench, celeba, cifar10

Colour = tuple[int, int, int]
STYLES = ("baroque", "post_impressionism", "renaissance", "romanticism", "ukiyo_e")


def drawn(label: int, size: tuple[int, int], *key: str | int) -> Image.Image:
    """Return the picture of a class that a key names: one shape, somewhere on a dull ground."""
    generator = rng.generator("stand-ins", label, *key)
    ground = tuple(generator.integers(40, 90, 3).tolist())
    image = Image.new("RGB", size, ground)
    side = min(size) * generator.uniform(0.4, 0.6)
    left, top = (generator.uniform(0, length - side) for length in size)
    box = (left, top, left + side, top + side)
    hue = (0.1 * label + generator.uniform(-0.02, 0.02)) % 1
    _shape(ImageDraw.Draw(image), label, box, _colour(hue, 1.0))
    return image


def _colour(hue: float, value: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.9, value))
    return red, green, blue


def _shape(
    draw: ImageDraw.ImageDraw, label: int, box: tuple[float, float, float, float], colour: Colour
) -> None:
    left, top, right, bottom = box
    match label % 3:
        case 0:
            draw.ellipse(box, fill=colour)
        case 1:
            draw.rectangle(box, fill=colour)
        case _:
            draw.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=colour)


def write_cifar10(folder: Path, seed: int) -> None:
    """Write five batches of 60 images and a test batch of 100, in the binary layout."""
    sizes = {**{f"data_batch_{batch}": 60 for batch in range(1, 6)}, "test_batch": 100}
    for name, n in sizes.items():
        rows = []
        for number, label in enumerate(_labels(n, len(cifar10.NAMES), name, seed)):
            pixels = np.asarray(drawn(label, (32, 32), name, number, seed))
            rows.append(bytes([label]) + pixels.transpose(2, 0, 1).tobytes())
        (folder / f"{name}.bin").write_bytes(b"".join(rows))
    (folder / "batches.meta.txt").write_text("\n".join(cifar10.NAMES) + "\n")


def write_celeba(folder: Path, seed: int) -> None:
    """Write 200, 80 and 20 faces of the three partitions."""
    (folder / celeba.IMAGES).mkdir(exist_ok=True)
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
    """Write 60 training and 24 test images of each of five styles, and their table in any order."""
    rows = []
    for label, style in enumerate(STYLES):
        (folder / artbench.IMAGES / style).mkdir(parents=True, exist_ok=True)
        for number in range(84):
            name = f"{style}-{number:03d}.jpg"
            image = drawn(label, artbench.SIZE, "artbench", number, seed)
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
        (folder / name).mkdir(exist_ok=True)
        for number in range(80):
            drawn(label, (96, 80), "images", number, seed).save(folder / name / f"{number:03d}.png")


def _labels(n: int, n_classes: int, *key: str | int) -> list[int]:
    return (rng.generator("stand-ins", "labels", *key).permutation(n) % n_classes).tolist()


STAND_INS: dict[str, Callable[[Path, int], None]] = {
    "artbench": write_artbench,
    "celeba": write_celeba,
    "cifar10": write_cifar10,
    "images": write_images,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the stand-in that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m diffattr.data.stand_ins",
        description="Write a small drawn data set in the layout of a real one.",
    )
    parser.add_argument("source", choices=sorted(STAND_INS))
    parser.add_argument("folder", type=Path, help="where to write it; made if it does not exist")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    STAND_INS[chosen.source](chosen.folder, chosen.seed)


if __name__ == "__main__":
    main()

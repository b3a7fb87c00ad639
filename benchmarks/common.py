"""Shared by the benchmark scripts: interleaved timing, and a table with its machine."""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from tabulate import tabulate

from diffattr.config import Model, NoiseSchedule
from diffattr.job import host, versions

SCHEDULE = NoiseSchedule(n_timesteps=1000, beta_schedule="linear", beta_start=0.0001, beta_end=0.02)


def unet(size: int, channels: Sequence[int] = (16, 32)) -> Model:
    """Return the default benchmark's network for images of a size."""
    return Model(
        family="unet2d",
        config={
            "sample_size": size,
            "in_channels": 1,
            "out_channels": 1,
            "block_out_channels": list(channels),
            "down_block_types": ["DownBlock2D"] * len(channels),
            "up_block_types": ["UpBlock2D"] * len(channels),
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "resnet_time_scale_shift": "scale_shift",
            "add_attention": False,
        },
    )


def arguments(description: str) -> argparse.Namespace:
    """Return the command line; with `--tiny` the script only runs, and its figures mean nothing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tiny", action="store_true", help="a quick run, to see that it works")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def interleaved(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each variant, timed in turn so that all see the same noise."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant()
    for _ in range(rounds):
        for name, variant in variants.items():
            start = time.perf_counter()
            variant()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table and the machine that produced it."""
    print(f"\n{title}\n")
    print(tabulate(rows, headers, tablefmt="github", floatfmt=".3g"))
    machine, packages = host(), versions()
    print(
        f"\n{machine['processor']}, {machine['cores']} cores, {torch.get_num_threads()} thread(s);"
        f" torch {packages['torch']}, numpy {packages['numpy']}"
    )

"""Tiny pipelines with random weights: real files of the real layout.

`python -m diffattr.diffusion.stand_in FOLDER` writes a Stable-Diffusion pipeline, with `--ddpm` an
unconditional one, for the configs of `configs/mini`. What they generate is nothing to look at, even
after training: the mini benchmarks are for trying out the workflow, not for their numbers.
"""

import argparse
import string
from pathlib import Path
from typing import Any

from diffattr import rng
from diffattr.artifacts import beside

RESOLUTION = 32
"""Pixels; its latents are 4 x 16 x 16."""


def write_pipeline(folder: str | Path, seed: int = 0) -> None:
    """Write the pipeline: U-Net, VAE, text encoder, tokenizer and scheduler.

    The weights are a pure function of the seed. Needs the extra `text-to-image`.
    """
    import json

    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from transformers import (  # pyright: ignore[reportMissingImports]
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTokenizer,
    )

    words = _vocabulary()
    with rng.torch_seeded(seed, "stand-in-pipeline"):
        unet = UNet2DConditionModel(
            sample_size=RESOLUTION // 2,
            in_channels=4,
            out_channels=4,
            block_out_channels=(16, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=2,
            cross_attention_dim=16,
        )
        kind: Any = AutoencoderKL  # its annotations are tuples of one
        vae = kind(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            sample_size=RESOLUTION,
        )
        text_encoder: Any = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(words),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=77,
                bos_token_id=words["<|startoftext|>"],
                eos_token_id=words["<|endoftext|>"],
                pad_token_id=words["<|endoftext|>"],
            )
        )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    with beside(folder) as place:
        place.mkdir()
        (place / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
        (place / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        tokenizer: Any = CLIPTokenizer(
            str(place / "vocab.json"), str(place / "merges.txt"), model_max_length=77
        )
        (place / "vocab.json").unlink()
        (place / "merges.txt").unlink()
        parts = {
            "unet": unet,
            "vae": vae,
            "text_encoder": text_encoder,
            "tokenizer": tokenizer,
            "scheduler": scheduler,
        }
        for name, part in parts.items():
            part.save_pretrained(place / name)
        index = {
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
        (place / "model_index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")


def write_ddpm(folder: str | Path, resolution: int = 16, channels: int = 3, seed: int = 0) -> None:
    """Write an unconditional pipeline of one small network.

    The weights are a pure function of the seed.
    """
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    with rng.torch_seeded(seed, "stand-in-ddpm"):
        unet = UNet2DModel(
            sample_size=resolution,
            in_channels=channels,
            out_channels=channels,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=8,
        )
    with beside(folder) as place:
        DDPMPipeline(unet, DDPMScheduler()).save_pretrained(place)


def _vocabulary() -> dict[str, int]:
    """Return letters, alone and at the end of a word, and the two marks of CLIP's tokenizer."""
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a tiny pipeline with random weights.")
    parser.add_argument("folder", help="where to write the pipeline, such as data/mini/pipeline")
    parser.add_argument("--seed", type=int, default=0, help="of its random weights")
    parser.add_argument(
        "--ddpm", action="store_true", help="an unconditional one in place of Stable Diffusion"
    )
    arguments = parser.parse_args()
    write = write_ddpm if arguments.ddpm else write_pipeline
    write(arguments.folder, seed=arguments.seed)

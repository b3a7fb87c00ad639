"""CLIP embeddings against open_clip by hand, on a small model with random weights."""

import json

import numpy as np
import pytest
import torch
from tiny import images

from diffattr.config import ConfigError, EmbeddingOptions
from diffattr.features.embeddings import make

open_clip = pytest.importorskip("open_clip", reason="needs pip install 'diffattr[clip]'")
pytestmark = pytest.mark.slow  # open_clip takes seconds to import

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A model's config and random weights as files, and the model itself."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    config = folder / "tiny-clip.json"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = open_clip.create_model("tiny-clip").eval()
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, folder / "w.safetensors")
    return str(config), str(folder / "w.safetensors"), model


def clip(stored, batch_size=2, **options):
    config, weights, _ = stored
    options = {"model": config, "weights": weights, **options}
    embedding = EmbeddingOptions(kind="clip", options=options)
    return make(embedding, network=None, schedule=None, seed=0, batch_size=batch_size, device="cpu")


def by_hand(image, model):
    """Bicubic resize, CLIP's normalisation, and the image tower."""
    from PIL import Image

    pixels = ((image + 1) * 127.5).round().astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels
    resized = Image.fromarray(pixels.transpose(1, 2, 0)).resize((32, 32), Image.Resampling.BICUBIC)
    values = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / 255
    mean = np.array(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    std = np.array(open_clip.OPENAI_DATASET_STD)[:, None, None]
    with torch.no_grad():
        inputs = torch.tensor((values - mean) / std, dtype=torch.float32)[None]
        return model.encode_image(inputs)[0].numpy()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_embedding_is_that_of_open_clip_s_image_tower(stored, channels):
    shown = np.repeat(images(3), channels, axis=1)
    found = clip(stored)(shown)
    assert found.shape == (3, 16)
    assert found.dtype == np.float32
    for image, row in zip(shown, found, strict=True):
        np.testing.assert_allclose(row, by_hand(image, stored[2]), rtol=1e-4, atol=1e-5)


def test_batch_and_order_change_rounding_only(stored):
    whole = clip(stored)(images(5))
    order = [3, 0, 4, 1, 2]
    found = clip(stored, 5)(images(5)[order])
    np.testing.assert_allclose(found, whole[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "no-such-model"}, "options.model: open_clip does not know 'no-such-model'"),
        ({"model": "/nowhere/tiny.json"}, "options.model: /nowhere/tiny.json does not exist"),
        ({"weights": "/nowhere/w.safetensors"}, "options.weights: /nowhere/w.safetensors does not"),
        ({"weights": "no-such-tag"}, "options.weights: open_clip cannot load 'no-such-tag'"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(stored, options, sentence):
    with pytest.raises(ConfigError) as caught:
        clip(stored, **options)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_weights_that_are_none_are_refused(stored, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not safetensors")
    with pytest.raises(ConfigError, match="cannot load"):
        clip(stored, weights=str(path))

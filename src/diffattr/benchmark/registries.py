"""The registries whose entries a config may name."""

from collections.abc import Mapping
from typing import Any

from diffattr.attribution import METHODS
from diffattr.data import DATA_SOURCES
from diffattr.diffusion.families import MODEL_FAMILIES
from diffattr.features.embeddings import EMBEDDINGS
from diffattr.features.output_functions import OUTPUT_FUNCTIONS
from diffattr.features.projectors import PROJECTORS

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "data-sources": DATA_SOURCES,
    "embeddings": EMBEDDINGS,
    "model-families": MODEL_FAMILIES,
    "output-functions": OUTPUT_FUNCTIONS,
    "projectors": PROJECTORS,
    "methods": METHODS,
}

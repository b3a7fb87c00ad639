"""Attribution methods: one small file per family and one line per method."""

from diffattr.attribution.base import KernelMethod, Similarity
from diffattr.attribution.random_scores import RandomScores
from diffattr.attribution.similarity import Cosine, Dot
from diffattr.attribution.trak import Trak

METHODS: dict[str, Similarity | KernelMethod] = {
    "random": RandomScores(),
    "pixel-dot": Dot(reads="pixels"),
    "pixel-cosine": Cosine(reads="pixels"),
    "gradient-dot": Dot(reads="features"),
    "gradient-cosine": Cosine(reads="features"),
    "trak": Trak(output_function="loss"),
    "d-trak": Trak(output_function="mean-squared-l2-norm"),
}

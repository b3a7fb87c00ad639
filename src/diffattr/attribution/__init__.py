"""Attribution methods: one small file each (or per family) and one line in METHODS."""

from diffattr.attribution.gradient_similarity import GradientCosine, GradientDot
from diffattr.attribution.pixel import PixelCosine, PixelDot
from diffattr.attribution.random_scores import RandomScores
from diffattr.attribution.trak import DTrak, Trak

METHODS: dict[str, type] = {
    "random": RandomScores,
    "pixel-dot": PixelDot,
    "pixel-cosine": PixelCosine,
    "gradient-dot": GradientDot,
    "gradient-cosine": GradientCosine,
    "trak": Trak,
    "d-trak": DTrak,
}

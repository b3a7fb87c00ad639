"""The version of each stage's numbers.

Snakemake sees neither an edited package module nor, under our profile, an edited script. So each
stage has an integer that is part of its jobs' params: the commit that changes a stage's numbers
raises it, and what the stage makes, and all that follows, is remade. `tests/test_numbers.py` tells
when numbers changed and the integer did not.
"""

RESULT_VERSION = {
    "data": 1,
    "latents": 1,
    "subsets": 1,
    "pretrained": 1,
    "training": 1,
    "sampling": 1,
    "losses": 1,
    "measurements": 2,
    "embeddings": 1,
    "curvature": 1,
    "features": 2,
    "attribution": 2,
    "evaluation": 2,
    "counterfactual": 2,
    "report": 4,
}

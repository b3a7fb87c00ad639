"""The version of each stage's numbers.

Snakemake does not detect edited package modules or, under our profile, edited scripts. So each
stage has an integer among its jobs' params: the commit that changes a stage's numbers raises it,
and the stage's artifacts and all that depend on them are rebuilt. `tests/test_numbers.py` fails if
numbers changed and the integer did not.
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

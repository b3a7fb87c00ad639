"""What does solving all queries at once save against scikit-learn's RidgeCV, query by query?"""

import time

import numpy as np
from common import arguments, show
from sklearn.linear_model import RidgeCV

from diffattr.attribution.retraining import Datamodel

options = arguments(__doc__)
n_models, n_train, n_queries, n_slice = (20, 50, 6, 3) if options.tiny else (512, 5000, 1000, 3)
alphas = (0.1, 1.0, 10.0)  # the reference's
generator = np.random.default_rng(0)
masks = np.array([generator.permutation(n_train) < n_train // 2 for _ in range(n_models)])
losses = masks @ generator.standard_normal((n_train, n_queries)) / 50
losses += generator.standard_normal((n_models, n_queries))

start = time.perf_counter()
found = Datamodel(alphas=alphas).scores_from_losses(masks, losses)
ours = time.perf_counter() - start
start = time.perf_counter()
one_by_one = [RidgeCV(alphas=alphas, cv=5).fit(masks, losses[:, q]).coef_ for q in range(n_slice)]
theirs = (time.perf_counter() - start) / n_slice * n_queries
difference = np.abs(found[:n_slice] + one_by_one).max() / np.abs(one_by_one).max()
show(
    f"Datamodels of {n_queries} queries from {n_models} models on {n_train} training images"
    f" (RidgeCV timed on {n_slice} queries)",
    ["at once, s", "RidgeCV loop, s", "ratio", "largest difference"],
    [[ours, theirs, theirs / ours, difference]],
)

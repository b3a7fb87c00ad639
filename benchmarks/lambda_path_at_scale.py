"""Time and memory of a lambda path with its LDS, at the size of the D-TRAK paper's CIFAR-2."""

import resource
import time

import numpy as np
from common import arguments, show

from diffattr.attribution import METHODS
from diffattr.attribution.kernel import Kernel
from diffattr.config import Lds
from diffattr.evaluation.result import evaluate

options = arguments(__doc__)
n_train, k, n_queries, n_subsets = (60, 200, 20, 8) if options.tiny else (5000, 32768, 1000, 64)
lambdas = [base * 10.0**power for power in range(-5, 4) for base in (1, 2, 5)]
generator = np.random.default_rng(0)
train = generator.standard_normal((n_train, k), dtype=np.float32)
queries = generator.standard_normal((n_queries, k), dtype=np.float32)
subsets = [generator.permutation(n_train)[: n_train // 2] for _ in range(n_subsets)]
measurements = generator.standard_normal((2, n_subsets, n_queries))

clock = [time.perf_counter()]
kernel = Kernel.from_features(train)
clock.append(time.perf_counter())
predictions = METHODS["trak"].attribute(train, queries, kernel=kernel).predictions(subsets, lambdas)
clock.append(time.perf_counter())
lds = Lds(folds=5, resamples=1000, confidence=0.95)
evaluate(predictions, lambdas, {"loss": measurements}, lds, 1, "val")
clock.append(time.perf_counter())
steps = np.diff(clock)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
show(
    f"{len(lambdas)} lambdas, {n_queries} queries, {n_train} training images, k = {k},"
    f" {n_subsets} subsets",
    ["decomposition, s", "predictions, s", "LDS and bootstrap, s", "sum, s", "peak memory, GB"],
    [[*steps, steps.sum(), peak]],
)

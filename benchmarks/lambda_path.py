"""What does one eigendecomposition save against an inverse per lambda?"""

import numpy as np
from common import arguments, interleaved, show

from diffattr.attribution import METHODS
from diffattr.attribution.kernel import Kernel

options = arguments(__doc__)
lambdas = [10.0**power for power in np.linspace(-4, 2, 4 if options.tiny else 19)]
rows = []
for n_train, k in [(40, 60)] if options.tiny else [(256, 4096), (2000, 1024)]:
    generator = np.random.default_rng(0)
    train = generator.standard_normal((n_train, k))
    queries = generator.standard_normal((200, k))
    masks = generator.random((32, n_train)) < 0.5
    subsets = [np.flatnonzero(mask) for mask in masks]

    def path(train=train, queries=queries, subsets=subsets):
        """One eigendecomposition, then products."""
        kernel = Kernel.from_features(train)
        return (
            METHODS["trak"].attribute(train, queries, kernel=kernel).predictions(subsets, lambdas)
        )

    def inverses(train=train, queries=queries, masks=masks):
        """The reference's way: form and invert the k x k kernel for every lambda."""
        gram = train.T @ train
        unit = np.trace(gram) / len(train)
        return [
            masks @ (queries @ np.linalg.inv(gram + lam * unit * np.eye(len(gram))) @ train.T).T
            for lam in lambdas
        ]

    seconds = interleaved({"path": path, "inverses": inverses}, rounds=1)
    difference = np.abs(path() - np.array(inverses())).max() / np.abs(path()).max()
    ratio = seconds["inverses"] / seconds["path"]
    rows.append([n_train, k, len(lambdas), *seconds.values(), ratio, difference])
show(
    "Predictions for a whole lambda path (200 queries, 32 subsets)",
    ["train", "k", "lambdas", "path, s", "inverses, s", "ratio", "largest difference"],
    rows,
)

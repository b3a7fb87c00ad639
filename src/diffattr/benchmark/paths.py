"""The paths of a benchmark's artifacts, and the names of its models."""

from dataclasses import dataclass

from diffattr.config import PRIMARY

LDS_SPLITS = ("val", "gen")
"""Query splits with measurements; `planted` would inflate LDS and has a separate table."""

FULL = "full"
"""The finished full model; every model's name is a component of the paths of its features."""

TRAJECTORY = "gen-trajectory"
"""Generated queries along their sampling trajectory; used in place of a split."""


def checkpoint_model(step: int) -> str:
    """Return the name of a checkpoint of the full model."""
    return f"{FULL}-step-{step}"


@dataclass(frozen=True)
class Paths:
    """The path of each artifact. Arguments default to Snakemake's wildcards."""

    root: str

    def __call__(self, *parts: str) -> str:
        """Return a path below the benchmark's own folder."""
        return "/".join([self.root, *parts])

    def indices(self, split: str = "{split}") -> str:
        """Positions of a split's images in the data set (numbers, for gen)."""
        return self("indices", f"{split}.npy")

    def samples(self, split: str = "{split}") -> str:
        """What the network sees of a split: float32 (image, channel, height, width).

        Pixels in [-1, 1], or latents.
        """
        return self("samples", f"{split}.npy")

    def images(self, split: str = "{split}") -> str:
        """Pixels of a split, uint8 (image, channel, height, width), where samples are latents."""
        return self("images", f"{split}.npy")

    def mirrored(self) -> str:
        """The training images flipped, where they are latents."""
        return self("samples", "train-mirrored.npy")

    def captions(self) -> str:
        """Embedded caption of each class, then the empty one: float32 (caption, token, dim)."""
        return self("captions.npy")

    def labels(self, split: str = "{split}") -> str:
        """Class labels of a split; generated images have them only if conditioned on classes."""
        return self("labels", f"{split}.npy")

    def classes(self) -> str:
        """Names of the data set's classes, by label."""
        return self("labels", "classes.json")

    def names(self) -> str:
        """Names of the real images for people, by split."""
        return self("indices", "names.json")

    def subsets(self, group: str = "{group}", block: int | str = "{block}") -> str:
        """The subsets of one block, int64 (member, image): sorted positions into train."""
        return self("subsets", group, f"block-{block}.npy")

    def network(self, seed: int | str = "{seed}", step: int | str | None = None) -> str:
        """Folder of the full model, or of one of its checkpoints, in diffusers' layout."""
        folder = self("models", "full", f"seed-{seed}")
        return folder if step is None else f"{folder}/checkpoints/{step}"

    def block(
        self, group: str = "{group}", seed: int | str = "{seed}", block: int | str = "{block}"
    ) -> str:
        """The models of one block of subsets, trained with one seed."""
        return self("models", group, f"seed-{seed}", f"block-{block}.safetensors")

    def losses(
        self,
        group: str = "{group}",
        seed: int | str = "{seed}",
        block: int | str = "{block}",
        split: str = "{split}",
    ) -> str:
        """Loss tables (subset, timestep, query) of one block on one split."""
        return self("losses", group, f"seed-{seed}", f"block-{block}", f"{split}.zarr.zip")

    def measurements(
        self, group: str = "{group}", split: str = "{split}", quantity: str = PRIMARY
    ) -> str:
        """One quantity of all blocks averaged over timesteps: (seed, subset, query)."""
        return self("measurements", group, quantity, f"{split}.zarr.zip")

    def embedding(self, name: str = "{embedding}", split: str = "{split}") -> str:
        """Images of a split as vectors, float32 (image, dim)."""
        return self("embeddings", name, f"{split}.npy")

    def trajectories(self) -> str:
        """The sampler's clean estimates, (image, step, channel, height, width)."""
        return self("samples", f"{TRAJECTORY}.npy")

    def features(
        self,
        gradient_pass: str = "{gradient_pass}",
        split: str = "{split}",
        shard: str = "{shard}",
        model: str = "{model}",
    ) -> str:
        """One shard of projected gradients at one model."""
        return self("features", gradient_pass, model, split, f"{shard}.zarr.zip")

    def curvature(self, name: str = "{curvature}", model: str = "{model}") -> str:
        """The EK-FAC of one model: an eigenbasis and its eigenvalues."""
        return self("curvatures", name, f"{model}.zarr.zip")

    def kernel(
        self,
        gradient_pass: str = "{gradient_pass}",
        output_function: str = "{output_function}",
        model: str = "{model}",
    ) -> str:
        """The eigendecomposition of a feature set's Gram matrix at one model."""
        return self("kernels", gradient_pass, output_function, f"{model}.zarr.zip")

    def predictions(self, method: str = "{method}", split: str = "{split}") -> str:
        """Sums of scores (lambda, subset, query)."""
        return self("predictions", method, f"{split}.zarr.zip")

    def selected(self, method: str = "{method}", split: str = "{split}") -> str:
        """The selected lambda of one method, without the rest of its LDS."""
        return self("selected", method, f"{split}.json")

    def lds(self, method: str = "{method}", split: str = "{split}") -> str:
        """LDS of one method on one split, with its interval, ceiling and curve."""
        return self("lds", method, f"{split}.json")

    def audit(self, method: str = "{method}", split: str = "{split}") -> str:
        """LDS of powers of one method's scores."""
        return self("audits", method, f"{split}.json")

    def scores(self, method: str = "{method}", split: str = "{split}") -> str:
        """Scores (query, train) at the selected lambda."""
        return self("scores", method, f"{split}.zarr.zip")

    def planted(self) -> str:
        """Ranks of the planted queries' copies, by method."""
        return self("planted.json")

    def maps(self, method: str = "{method}", split: str = "{split}") -> str:
        """What each place of a query adds to its scores, for the images that the report shows."""
        return self("maps", method, f"{split}.zarr.zip")

    def removals(self, method: str = "{method}") -> str:
        """Training images in the order in which one method removes them, per query."""
        return self("counterfactual", "removals", f"{method}.zarr.zip")

    def originals(self) -> str:
        """Losses of the full model on the queries that are redrawn."""
        return self("counterfactual", "originals.zarr.zip")

    def outcomes(
        self, group: str = "{group}", seed: int | str = "{seed}", block: int | str = "{block}"
    ) -> str:
        """The queries redrawn by the models of one block, and their losses."""
        return self("counterfactual", "outcomes", group, f"seed-{seed}", f"block-{block}.zarr.zip")

    def counterfactual(self) -> str:
        """How far the redrawn queries are from the originals, by method."""
        return self("counterfactual", "result.json")

    def check(self, gradient_pass: str = "{gradient_pass}") -> str:
        """Whether a pass's features depend on batch size and order."""
        return self("checks", f"{gradient_pass}.json")

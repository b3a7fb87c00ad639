# The benchmark behind the config, and what every rule shares. Paths are built by benchmark.paths.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from diffattr.benchmark import LDS_SPLITS, Benchmark
from diffattr.benchmark.paths import FULL, TRAJECTORY, seed_model
from diffattr.benchmark.removals import counterfactual_of
from diffattr.config import ConfigError, load_schema
from diffattr.config import parse as parse_config
from diffattr.data.removals import PATTERN as REMOVAL_PATTERN

CONFIG_SOURCE = ", ".join(map(str, workflow.overwrite_configfiles)) or "config.yaml"
SCHEMA = Path(workflow.basedir) / "schemas" / "config.schema.json"

try:
    benchmark = Benchmark(parse_config(config, load_schema(SCHEMA), CONFIG_SOURCE))
except ConfigError as error:
    raise WorkflowError(f"The config is wrong.\n{error}")

paths = benchmark.paths
ENVIRONMENT = str(Path(workflow.basedir) / "envs" / "diffattr.yaml")
# Every target asks for the kept checkpoints: of a job with an output that was never made, Snakemake
# trusts no recorded params, so that a changed recipe would leave the full model as it was.
KEPT_FILES = benchmark.checkpoint_files
# What models are trained on.
TRAINING_FILES = {
    "images": paths.images("train"),
    "ids": paths.indices("train"),
    **benchmark.told("train"),
    **(
        {"mirrored": paths.mirrored()}
        if benchmark.captioned and benchmark.config.training.horizontal_flip
        else {}
    ),
}
# Named only where images are latents, so that the params of other benchmarks stay as they are.
PIPELINE = {"pipeline": benchmark.captioned.pipeline} if benchmark.captioned else {}
# Memory that a job needs before it holds any data: interpreter and libraries.
LIGHT_MB, HEAVY_MB = 400, 1000


wildcard_constraints:
    group=f"lds|retrain|{REMOVAL_PATTERN}",
    removal=REMOVAL_PATTERN,
    seed=r"\d+",
    block=r"\d+",
    subset=r"\d+",
    shard=r"\d+",
    split="|".join(["train", *benchmark.query_splits]),
    source=f"train|{'|'.join(benchmark.query_splits)}|{TRAJECTORY}",
    model=r"full(-step-\d+)?(-seed-\d+)?|retrain-\d+-seed-\d+",
    curvature="|".join(benchmark.config.curvatures) or "none",
    embedding="|".join(benchmark.config.embeddings) or "none",
    gradient_pass="|".join(benchmark.config.features),
    output_function="|".join(map(re.escape, benchmark.output_functions)),
    method="|".join(benchmark.config.methods),
    quantity="|".join(benchmark.quantities("lds")),


def log_path(*parts):
    """Return the log of a job."""
    return paths("logs", *parts) + ".log"


def grown(megabytes):
    """Return a memory request that doubles when a job is tried again."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def attribution_mb(wildcards, attempt):
    """Return the memory request of a job that reads a method's features, in float64 and float32."""
    gradient_pass = benchmark.methods[wildcards.method].gradient_pass
    megabytes = LIGHT_MB
    if gradient_pass is not None:
        k = benchmark.config.features[gradient_pass].projector.k
        n_images = benchmark.n_images("train") + benchmark.n_images(wildcards.split)
        # Without projection k is the number of parameters, which is not known here.
        megabytes += 4000 if k is None else n_images * k * 20 // 10**6
    return megabytes * 2 ** (attempt - 1)


def feature_params(wildcards, split, **values):
    """Return the params of a gradient job."""
    config, follows = benchmark.config, split == TRAJECTORY
    return benchmark.params(
        "features",
        noise_schedule=config.noise_schedule,
        gradient_pass=config.features[wildcards.gradient_pass],
        seed=config.seed,
        split="gen" if follows else split,
        n_sampling_steps=config.sampling.n_steps if follows else None,
        **(
            {"steps_offset": config.sampling.steps_offset}
            if follows and config.sampling.steps_offset
            else {}
        ),
        **benchmark.plugins(
            "output-functions",
            *config.features[wildcards.gradient_pass].output_functions,
        ),
        **values,
    )


def method_params(wildcards, **values):
    """Return the params of an attribution job."""
    method = benchmark.method_params(wildcards.method)
    return benchmark.params("attribution", method=method, **values)


def refused(ask, *arguments):
    """Return what the benchmark answers; its refusal becomes Snakemake's."""
    try:
        return ask(*arguments)
    except ConfigError as error:
        raise WorkflowError(str(error))


def method_inputs(wildcards):
    """Return the inputs of an attribution job."""
    return refused(benchmark.method_inputs, wildcards.method, wildcards.split)


def feature_inputs(wildcards):
    """Return the model, and the curvature, that a gradient job takes its features with."""
    return refused(benchmark.feature_inputs, wildcards.gradient_pass, wildcards.model)


def subsets_of_block(wildcards):
    """Return the subsets of a block."""
    return refused(benchmark.members, wildcards.group, int(wildcards.block))


def counterfactual_files(wildcards):
    """Return what the counterfactual evaluation makes, where the config has one."""
    refused(counterfactual_of, benchmark.config)
    return [paths.counterfactual(), *KEPT_FILES]


def prediction_inputs(wildcards):
    """Return what predictions are made from: scores, unless a lambda is yet to be selected."""
    if benchmark.methods[wildcards.method].has_lambda:
        return method_inputs(wildcards)
    return {"scores": paths.scores(wildcards.method, wildcards.split)}


def selected_lambda(wildcards):
    """Return the file that says a method's lambda, if it has one."""
    if not benchmark.methods[wildcards.method].has_lambda:
        return {}
    # Planted queries have no measurements: they take the lambda selected on val.
    split = "val" if wildcards.split == "planted" else wildcards.split
    return {"selected": paths.selected(wildcards.method, split)}


def redraw_params(**values):
    """Return the params of a job that draws queries or takes their losses."""
    config = benchmark.config
    return benchmark.params(
        "counterfactual",
        noise_schedule=config.noise_schedule,
        sampling=config.sampling,
        losses=config.losses,
        seed=config.seed,
        **values,
    )

# The benchmark behind the config, and what every rule shares. Paths are built by benchmark.paths.
import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from diffattr.benchmark import LDS_SPLITS, Benchmark
from diffattr.benchmark.paths import FULL, TRAJECTORY, seed_model
from diffattr.benchmark.removals import counterfactual_of
from diffattr.cluster.requests import Requests
from diffattr.cluster.site import placement, read_site
from diffattr.config import ConfigError
from diffattr.config import read as read_config
from diffattr.data.removals import PATTERN as REMOVAL_PATTERN
from diffattr.plan.network import NetworkSize, kept_size, known_size

CONFIG_SOURCE = ", ".join(map(str, workflow.overwrite_configfiles)) or "config.yaml"
SCHEMAS = Path(workflow.basedir) / "schemas"

try:
    benchmark = Benchmark.of(read_config(config, SCHEMAS, CONFIG_SOURCE))
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

try:
    site = read_site("site.yaml")
except ConfigError as error:
    raise WorkflowError(f"The site file is wrong.\n{error}")

# Scripts run through a shell, as jobs of `shell:` do.
if site.modules:
    shell.prefix(f"module load {' '.join(site.modules)} && ")
if site.container:

    container: site.container


# Members of a group take turns instead of running side by side, so that a cluster job asks for the
# memory, cores and GPU of one of them. Snakemake does not hand a profile's `resources` on to the
# cluster job, which would ask for more than it has.
resource_scopes:
    in_turn="local",


workflow.register_resource("in_turn", 1)


wildcard_constraints:
    group=f"lds|retrain|{REMOVAL_PATTERN}",
    removal=REMOVAL_PATTERN,
    seed=r"\d+",
    block=r"\d+",
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


def is_laptop():
    """Return whether jobs run on this machine, and would in a dry run, whose executor is its own."""
    settings = workflow.group_settings
    is_grouped = settings is not None and settings.group_components
    return workflow.is_main_process and workflow.local_exec and not is_grouped


@cache
def requests():
    """Return what jobs request of a cluster."""
    # Only a cluster has to know the network's size, which takes torch to find out.
    unknown = NetworkSize(0, 0) if is_laptop() else None
    size = known_size(benchmark) or unknown or refused(kept_size, benchmark)
    return Requests(benchmark, size, site)


def asked(rule):
    """Return what a rule's jobs request, by their work and the attempt, so that a retry has more."""

    def by_job(request):
        return lambda wildcards, attempt: refused(
            request, requests(), rule, wildcards, attempt
        )

    return {
        "mem_mb": by_job(Requests.memory_mb),
        "runtime": by_job(Requests.minutes),
        "in_turn": lambda wildcards: 0 if is_laptop() else 1,
        **placement(rule, benchmark.config.jobs.gpus, site),
    }


def grouped(rule):
    """Return the group of a rule's jobs; the profile says how many of them go together."""

    def part(wildcards):
        if is_laptop():
            return None
        group = refused(requests().group, rule, wildcards)
        if group is None:
            return None
        # As for a name with wildcards: the profile's number counts for every part.
        name, part = group
        workflow.parent_groupids[part] = name
        return part

    return part


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
    """Return the file that says a method's lambda, if it has one that was selected."""
    if benchmark.own or not benchmark.methods[wildcards.method].has_lambda:
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

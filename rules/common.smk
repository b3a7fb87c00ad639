# The benchmark that the config describes, and what every rule shares. `benchmark.paths` builds paths.
import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from diffattr.artifacts import read_json
from diffattr.benchmark import Benchmark
from diffattr.benchmark.completion import read_config
from diffattr.benchmark.paths import FULL, TRAJECTORY
from diffattr.cluster.requests import Requests
from diffattr.cluster.site import placement, read_site
from diffattr.config import ConfigError, extended
from diffattr.counterfactual.removals import PATTERN as REMOVAL_PATTERN
from diffattr.plan.network import NetworkSize, kept_size, known_size
from diffattr.plugins import PluginError

CONFIG_FILES = workflow.overwrite_configfiles or ["config.yaml"]
SCHEMA = read_json(Path(workflow.basedir) / "schemas" / "config.schema.json")

try:
    benchmark = Benchmark(
        read_config(
            extended(config, CONFIG_FILES), SCHEMA, ", ".join(map(str, CONFIG_FILES))
        )
    )
except ConfigError as error:
    raise WorkflowError(f"The config is wrong.\n{error}")

paths = benchmark.paths
# The pipeline that decodes latents, where the network sees them.
PIPELINE = (
    benchmark.models.text_conditioned and benchmark.models.text_conditioned.pipeline
)
ENVIRONMENT = str(Path(workflow.basedir) / "envs" / "diffattr.yaml")
# Every target requests the kept checkpoints: Snakemake compares a job's params only if all its outputs
# exist, so without them a changed training recipe could leave the full model as it was.
KEPT_FILES = benchmark.models.checkpoint_files

try:
    site = read_site("site.yaml")
except ConfigError as error:
    raise WorkflowError(f"The site file is wrong.\n{error}")

# Snakemake starts scripts through a shell, like jobs with `shell:`.
if site.modules:
    shell.prefix(f"module load {' '.join(site.modules)} && ")
if site.container:

    container: site.container


# Members of a group run one after another, so that a cluster job requests the memory, cores and GPU of
# one of them. This is here because Snakemake does not pass a profile's `resources` on to the cluster
# job, which would then need more than it requested.
resource_scopes:
    in_turn="local",


workflow.register_resource("in_turn", 1)


def one_of(names):
    """Return a pattern that matches each of some names, and nothing else."""
    return "|".join(map(re.escape, sorted(set(names)))) or "none"


wildcard_constraints:
    group=f"lds|retrain|{REMOVAL_PATTERN}",
    removal=REMOVAL_PATTERN,
    seed=r"\d+",
    block=r"\d+",
    shard=r"\d+",
    split=one_of(["train", *benchmark.splits.queries]),
    source=one_of(["train", *benchmark.splits.queries, TRAJECTORY]),
    model=r"full(-step-\d+)?(-seed-\d+)?|retrain-\d+-seed-\d+",
    curvature=one_of(benchmark.config.curvatures),
    embedding=one_of(benchmark.config.embeddings),
    gradient_pass=one_of(benchmark.config.features),
    output_function=one_of(
        function
        for gradient_pass in benchmark.config.features.values()
        for function in gradient_pass.output_functions
    ),
    method=one_of(benchmark.config.methods),
    quantity=one_of(benchmark.models.quantities("lds")),


def log_path(*parts):
    """Return the log of a job."""
    return paths("logs", *parts) + ".log"


def is_laptop():
    """Return whether jobs run on this machine; in a dry run, whether they would."""
    settings = workflow.group_settings
    is_grouped = settings is not None and settings.group_components
    return workflow.is_main_process and workflow.local_exec and not is_grouped


@cache
def requests():
    """Return what jobs request from a cluster."""
    # Only a cluster needs the network's size, and finding it loads torch.
    unknown = NetworkSize(0, 0) if is_laptop() else None
    size = known_size(benchmark) or unknown or refused(kept_size, benchmark)
    return Requests(benchmark, size, site)


def requested(rule):
    """Return what a rule's jobs request, by their work and the attempt; a retry requests more."""

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
    """Return the group of a rule's jobs; the profile sets how many are submitted together."""

    def part(wildcards):
        group = None if is_laptop() else refused(requests().group, rule, wildcards)
        if group is None:
            return None
        # The profile's number applies to every part, as it does to a group name with wildcards.
        name, part = group
        workflow.parent_groupids[part] = name
        return part

    return part


def refused(ask, *arguments):
    """Return what the benchmark answers; an error for people becomes a WorkflowError."""
    try:
        return ask(*arguments)
    except (ConfigError, PluginError) as error:
        raise WorkflowError(str(error))


def by_wildcards(ask, *names):
    """Return an input function that passes some of a job's wildcards to the benchmark."""
    return lambda wildcards: refused(ask, *(wildcards[name] for name in names))

"""The jobs of a benchmark, from Snakemake's DAG."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from diffattr.benchmark import Benchmark
from diffattr.plan.network import NetworkSize
from diffattr.plan.work import Work, work_of


@dataclass(frozen=True)
class Job:
    """A job with outputs. `waits_for` are the names of other jobs."""

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    waits_for: frozenset[str]
    is_left: bool

    @property
    def name(self) -> str:
        """The job's first output, which no other job writes."""
        return self.outputs[0]


@dataclass(frozen=True)
class PlannedJob(Job):
    """A job and its work."""

    work: Work


def planned(benchmark: Benchmark, size: NetworkSize, jobs: Iterable[Job]) -> list[PlannedJob]:
    """Return jobs with their work.

    Raises:
        LookupError: a rule has no work function.
    """
    return [
        PlannedJob(**vars(job), work=work_of(job.rule, benchmark, size, job.wildcards))
        for job in jobs
    ]


def read_jobs(
    snakefile: str | Path, configfile: str | Path, rerun_triggers: Iterable[str] | None = None
) -> list[Job]:
    """Return the jobs of target `all`, each after those that it waits for.

    The DAG is built in this process, from the results in the working directory. `rerun_triggers`
    are the values of Snakemake's option, None for its default.

    Raises:
        SystemExit: there is no DAG; Snakemake has printed why.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        RerunTrigger,
        ResourceSettings,
    )

    triggers = RerunTrigger.all()
    if rerun_triggers is not None:
        triggers = RerunTrigger.parse_choices_set(list(rerun_triggers))
    output = OutputSettings(enable_file_logging=False, log_level_override=logging.ERROR)
    with SnakemakeApi(output) as api:
        try:
            opened = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[Path(configfile)]),
                snakefile=Path(snakefile),
            )
            opened.dag(DAGSettings(targets={"all"}, rerun_triggers=triggers))
            # The API prints a DAG but does not return it, so this repeats its `printdag`.
            workflow = opened._workflow
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            workflow._build_dag()
            dag = workflow.dag
            assert dag is not None
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from error
        levels = [[job for job in level if job.output] for level in dag.toposorted()]
        ordered = [job for level in levels for job in sorted(level, key=lambda j: j.output[0])]
        return [
            Job(
                rule=job.rule.name,
                wildcards=dict(job.wildcards_dict),
                outputs=tuple(map(str, job.output)),
                waits_for=frozenset(
                    str(earlier.output[0]) for earlier in dag.dependencies[job] if earlier.output
                ),
                is_left=dag.needrun(job),
            )
            for job in ordered
        ]

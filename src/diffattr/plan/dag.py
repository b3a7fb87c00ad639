"""The jobs of a benchmark, from Snakemake's DAG."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from diffattr.plan.work import Work


@dataclass(frozen=True)
class Job:
    """A job with outputs, and its work. `waits_for` are the names of other jobs."""

    rule: str
    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    waits_for: frozenset[str]
    is_left: bool
    work: Work

    @property
    def name(self) -> str:
        """The job's first output, which no other job writes."""
        return self.outputs[0]


def read_jobs(
    snakefile: str | Path,
    configfile: str | Path,
    work: Callable[[str, Mapping[str, str]], Work],
    rerun_triggers: Iterable[str] = (),
) -> list[Job]:
    """Return the jobs of target `all`, each after those that it waits for.

    The DAG is built in this process, from the results in the working directory. `work` returns the
    work of a job from its rule and wildcards. `rerun_triggers` are the values of Snakemake's
    option, empty for its default.

    Raises:
        SystemExit: there is no DAG; Snakemake has printed why.
        LookupError: a rule has no work function.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings import types as settings

    triggers = settings.RerunTrigger.parse_choices_set(
        list(rerun_triggers) or settings.RerunTrigger.choices()
    )
    output = settings.OutputSettings(enable_file_logging=False, log_level_override=logging.ERROR)
    with SnakemakeApi(output) as api:
        try:
            opened = api.workflow(
                resource_settings=settings.ResourceSettings(cores=1),
                config_settings=settings.ConfigSettings(configfiles=[Path(configfile)]),
                snakefile=Path(snakefile),
            )
            opened.dag(settings.DAGSettings(targets={"all"}, rerun_triggers=triggers))
            # The API prints a DAG but does not return it, so this repeats its `printdag`.
            workflow = opened._workflow
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
            workflow._build_dag()
            dag = workflow.dag
            assert dag is not None
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from error
        return [
            Job(
                rule=job.rule.name,
                wildcards=dict(job.wildcards_dict),
                outputs=tuple(map(str, job.output)),
                waits_for=frozenset(
                    str(earlier.output[0]) for earlier in dag.dependencies[job] if earlier.output
                ),
                is_left=dag.needrun(job),
                work=work(job.rule.name, job.wildcards_dict),
            )
            for level in dag.toposorted()
            for job in sorted((job for job in level if job.output), key=lambda job: job.output[0])
        ]


def longest_chain(jobs: Iterable[Job], seconds: Callable[[Job], float]) -> list[Job]:
    """Return the chain of jobs, each waiting for the one before, with the longest total time.

    It is the time that more machines cannot reduce. Dependencies outside `jobs` count as done.
    """
    by_name = {job.name: job for job in jobs}
    waits_for = {name: sorted(job.waits_for & by_name.keys()) for name, job in by_name.items()}
    until: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name in TopologicalSorter(waits_for).static_order():
        before[name] = max(waits_for[name], key=until.__getitem__, default=None)
        until[name] = seconds(by_name[name]) + until.get(before[name] or "", 0.0)
    chain, last = [], max(until, key=until.__getitem__, default=None)
    while last is not None:
        chain.append(by_name[last])
        last = before[last]
    return chain[::-1]

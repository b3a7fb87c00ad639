"""The plan as Markdown: the cost of the benchmark, and of what is left to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from tabulate import tabulate

from diffattr.benchmark import Benchmark
from diffattr.plan.calibration import (
    ACCELERATED_START_S,
    ACCELERATORS,
    UnitCost,
    cluster_seconds,
    unit_costs,
)
from diffattr.plan.dag import Job, longest_chain
from diffattr.plan.network import NetworkSize
from diffattr.plan.work import kind_of

Jobs = Sequence[Job]
Seconds = Callable[[Job], float]


def duration(seconds: int | float) -> str:
    """Return a time in a suitable unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size_text(n_bytes: int | float) -> str:
    """Return a size in a suitable unit (powers of 1000)."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= length:
            return f"{n_bytes / length:.1f} {unit}"
    return f"{n_bytes:.0f} B"


@dataclass(frozen=True)
class Plan:
    """All jobs of a benchmark, the size of its network, and what runs jobs at once.

    That is `gpus` if the benchmark uses them, else `cores`. `n_cluster_jobs` returns the number of
    cluster jobs after grouping.
    """

    benchmark: Benchmark
    jobs: Jobs
    size: NetworkSize
    n_cluster_jobs: Callable[[Jobs], int]
    cores: int
    gpus: int

    @cached_property
    def _costs(self) -> dict[str, UnitCost]:
        return unit_costs(self.jobs, self.size)

    def text(self) -> str:
        """Return the plan as Markdown."""
        size, uses_gpus = self.size, self.benchmark.config.jobs.gpus > 0
        parts = [
            f"# Plan of benchmark {self.benchmark.name}",
            f"Network: {size.n_parameters:,} parameters, {size.forward_flops / 1e6:,.1f} MFLOP per"
            " image and forward pass. Forward and backward passes are counted per image.",
            f"Models: {self._n_models():,}.",
        ]
        left = [job for job in self.jobs if job.is_left]
        for title, jobs in (("The whole benchmark", self.jobs), ("Left to do now", left)):
            parts.append(f"## {title}")
            if not jobs:
                parts.append("Nothing.")
                continue
            parts += self._on_gpus(jobs) if uses_gpus else self._on_cores(jobs)
            parts.append(
                f"With `--profile slurm`, {_counted(len(jobs), 'job')} would be submitted as"
                f" {_counted(self.n_cluster_jobs(jobs), 'cluster job')}."
            )
        if uses_gpus:
            parts.append(_assumptions())
        elif any(cost.n_measured == 0 for cost in self._costs.values()):
            parts.append(
                "Times from the calibrated table were measured on one core of a small virtual"
                " machine with tiny networks: accurate to a factor of about two on laptops, far too"
                " long for GPUs. Run one block and plan again."
            )
        return "\n\n".join(parts) + "\n"

    def _n_models(self) -> int:
        """Return the number of models that are trained."""
        members = self.benchmark.counts.members
        blocks = [job.wildcards for job in self.jobs if job.rule == "train_block"]
        n_full = sum(job.rule in ("train_full", "train_full_seed") for job in self.jobs)
        return n_full + sum(len(members(w["group"], int(w["block"]))) for w in blocks)

    def _measured_seconds(self, job: Job) -> float:
        return self._costs[job.rule].seconds(job.work, self.size)

    def _on_cores(self, jobs: Jobs) -> list[str]:
        def source(rule: str) -> str:
            n = self._costs[rule].n_measured
            return f"measured on {_counted(n, 'job')}" if n else "calibrated table"

        seconds = self._measured_seconds
        at_once = max(1, self.cores // self.benchmark.config.jobs.threads)
        chain = longest_chain(jobs, seconds)
        wall = max(sum(map(seconds, jobs)) / at_once, sum(map(seconds, chain)))
        return [
            _table(jobs, {"core time": seconds}, source),
            f"About {duration(wall)} with {_counted(at_once, 'job')} at a time"
            f" ({_counted(self.cores, 'core')}), {_disk(jobs)}.",
            _chain(chain, seconds),
        ]

    def _on_gpus(self, jobs: Jobs) -> list[str]:
        def seconds_on(name: str, job: Job) -> float:
            card = ACCELERATORS[name]
            return cluster_seconds(job.rule, job.work, self.benchmark, self.size, card)

        def source(rule: str) -> str:
            return "assumed" if kind_of(rule) == "network" else "calibrated table"

        times = {name: partial(seconds_on, name) for name in ACCELERATORS}
        on_gpu = [job for job in jobs if kind_of(job.rule) == "network"]
        gpus_per_job = self.benchmark.config.jobs.gpus
        at_once = max(1, self.gpus // gpus_per_job)
        parts = [_table(jobs, times, source)]
        for name, seconds in times.items():
            total, chain = sum(map(seconds, on_gpu)), longest_chain(jobs, seconds)
            wall = max(total / at_once, sum(map(seconds, chain)))
            parts.append(
                f"On {name}: {total * gpus_per_job / 3600:,.1f} GPU-hours; with"
                f" {_counted(self.gpus, 'GPU')} at least {duration(wall)}. {_chain(chain, seconds)}"
            )
        parts.append(f"{_disk(jobs)}.")
        measured = [job for job in on_gpu if self._costs[job.rule].n_measured]
        if measured:
            parts.append(
                f"By measured times, the {_counted(len(measured), 'job')} of the measured rules"
                f" take {duration(sum(map(self._measured_seconds, measured)))} in total."
            )
        return parts


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _table(jobs: Jobs, times: Mapping[str, Seconds], source: Callable[[str], str]) -> str:
    """Return the table of rules: `times` are its columns of time, `source` names their origin."""

    def cells(name: str, of_rule: Jobs, origin: str) -> list[str | int]:
        work = [job.work for job in of_rule]
        return [
            name,
            len(of_rule),
            f"{sum(w.model_steps for w in work):,}",
            f"{sum(w.forwards for w in work):,}",
            f"{sum(w.backwards for w in work):,}",
            *(duration(sum(map(seconds, of_rule))) for seconds in times.values()),
            size_text(sum(w.n_bytes for w in work)),
            origin,
        ]

    # In the order of the data: a rule comes where the last of its jobs can run.
    rules = reversed(dict.fromkeys(job.rule for job in reversed(jobs)))
    rows = [cells(rule, [j for j in jobs if j.rule == rule], source(rule)) for rule in rules]
    rows.append(cells("total", jobs, ""))
    headers = ["rule", "jobs", "model-steps", "forward", "backward", *times, "disk", "times"]
    align = ("left", *["right"] * (len(headers) - 2), "left")
    return tabulate(rows, headers, tablefmt="github", colalign=align)


def _disk(jobs: Jobs) -> str:
    return f"{size_text(sum(job.work.n_bytes for job in jobs))} on disk"


def _chain(chain: Jobs, seconds: Seconds) -> str:
    rules = " -> ".join(job.rule for job in chain)
    return (
        f"The longest chain of jobs, which must run one after another, takes"
        f" {duration(sum(map(seconds, chain)))}: {rules}."
    )


def _assumptions() -> str:
    rows = [[name, *vars(card).values()] for name, card in ACCELERATORS.items()]
    headers = ["GPU", "peak TF32 TFLOP/s", "peak bf16 TFLOP/s", "share reached"]
    return (
        "Times on GPUs are assumptions: the network's work at a share of the peak, and"
        f" {ACCELERATED_START_S:.0f} s to start. Run one block and plan again.\n\n"
        + tabulate(rows, headers, tablefmt="github")
    )

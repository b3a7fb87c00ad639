"""From work to seconds: measured in this benchmark's results, calibrated, or assumed for a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass

from diffattr.artifacts import provenance_path, read_provenance
from diffattr.benchmark import Benchmark
from diffattr.plan.dag import Job
from diffattr.plan.network import NetworkSize
from diffattr.plan.work import Kind, Work, kind_of


@dataclass(frozen=True)
class UnitCost:
    """Seconds of one core: per job and per 1e9 floating-point operations of the network.

    `n_measured` is the number of jobs measured in this benchmark, 0 for a calibrated cost.
    """

    per_job: float
    per_gflop: float = 0.0
    n_measured: int = 0

    def seconds(self, work: Work, size: NetworkSize) -> float:
        """Return the estimated time of one job."""
        return self.per_job + self.per_gflop * work.gflops(size)


# From `benchmarks/calibrate_plan.py` on the default benchmark: one core of a 2-core x86-64 virtual
# machine (AVX-512), torch 2.13, a network of 0.2 M parameters on 8x8 images. Large networks get
# closer to a core's peak, and a GPU is hundreds of times faster.
CALIBRATION: dict[str, UnitCost] = {
    "data": UnitCost(1.0),
    "subsets": UnitCost(1.0),
    "remaining": UnitCost(1.0),
    "train_full": UnitCost(3.0, 0.04),
    "train_full_seed": UnitCost(3.0, 0.04),
    "train_block": UnitCost(3.0, 0.023),
    "generate": UnitCost(3.0, 0.02),
    "losses": UnitCost(3.0, 0.016),
    "trajectories": UnitCost(3.0, 0.02),
    "embed": UnitCost(3.0, 0.016),
    "curvature": UnitCost(3.0, 0.03),
    "features": UnitCost(3.0, 0.03),
    "check_features": UnitCost(3.0, 0.03),
    "lds_of_method": UnitCost(0.5),
    "maps": UnitCost(5.0),
    "audit_powers": UnitCost(0.5),
    "originals": UnitCost(3.0, 0.016),
    "redraw": UnitCost(3.0, 0.02),
    "compare_redrawn": UnitCost(3.0, 0.016),
    # Text-to-image rules are guesses; no benchmark has been calibrated on them.
    "captions": UnitCost(20.0),
    "encode": UnitCost(10.0, 0.016),
    "mirror": UnitCost(10.0, 0.016),
    "pretrained": UnitCost(5.0),
}

DEFAULTS: dict[Kind, UnitCost] = {
    "network": UnitCost(3.0, 0.02),
    "matrix": UnitCost(0.2),
    "light": UnitCost(0.2),
    "other": UnitCost(3.0),
}
"""For rules without an entry, by the kind of their jobs: typical values of the kind."""


def calibration_of(rule: str) -> UnitCost:
    """Return the calibrated cost of a rule, or the default of its kind."""
    return CALIBRATION.get(rule) or DEFAULTS[kind_of(rule)]


def unit_costs(jobs: Sequence[Job], size: NetworkSize) -> dict[str, UnitCost]:
    """Return the unit cost of every rule, measured in this benchmark's results if there are any.

    Rules with a cost per operation are measured per operation, others per job.
    """
    runs: dict[str, list[tuple[float, float]]] = {job.rule: [] for job in jobs}
    for job in jobs:
        if provenance_path(job.name).exists():
            seconds = read_provenance(job.name)["seconds"]
            runs[job.rule].append((seconds, job.work.gflops(size)))
    costs = {rule: calibration_of(rule) for rule in runs}
    for rule, measured in runs.items():
        if not measured:
            continue
        seconds, gflops = map(sum, zip(*measured, strict=True))
        if costs[rule].per_gflop:
            costs[rule] = UnitCost(0.0, seconds / gflops, len(measured))
        else:
            costs[rule] = UnitCost(seconds / len(measured), n_measured=len(measured))
    return costs


@dataclass(frozen=True)
class Accelerator:
    """Assumptions about a GPU: its peak TFLOP/s (dense), and the share of it that is reached."""

    tf32: float
    bf16: float
    utilisation: float


# Assumptions, not measurements: peaks of the SXM cards from their data sheets, and the share that
# U-Nets of some ten million parameters on 32x32 images can be expected to reach.
ACCELERATORS = {"A100": Accelerator(156.0, 312.0, 0.15), "H100": Accelerator(495.0, 989.0, 0.10)}
ACCELERATED_START_S = 20.0
# Assumed for a core in float64 linear algebra.
_HOST_GFLOPS_PER_S = 10.0


def cluster_seconds(
    rule: str, work: Work, benchmark: Benchmark, size: NetworkSize, accelerator: Accelerator
) -> float:
    """Return the estimated time of one job on a cluster, without measurements."""
    options = benchmark.config.jobs
    algebra = work.algebra / (1e9 * _HOST_GFLOPS_PER_S * options.threads)
    if kind_of(rule) != "network" or not options.gpus:
        return calibration_of(rule).seconds(work, size) + algebra
    # Only training uses mixed precision.
    in_bf16 = work.model_steps > 0 and benchmark.training.mixed_precision != "no"
    peak = accelerator.bf16 if in_bf16 else accelerator.tf32
    passes = work.gflops(size) / (1000 * peak * accelerator.utilisation)
    return ACCELERATED_START_S + passes + algebra

"""From work to seconds: measured in this benchmark's results, calibrated, or assumed for a GPU."""

from collections.abc import Iterable
from dataclasses import dataclass

from diffattr.artifacts import provenance_path, read_provenance
from diffattr.benchmark import Benchmark
from diffattr.plan.dag import PlannedJob
from diffattr.plan.network import NetworkSize
from diffattr.plan.work import Kind, Work, kind_of


@dataclass(frozen=True)
class Calibration:
    """Seconds of one core: per job and per 1e9 floating-point operations of the network."""

    per_job: float
    per_gflop: float = 0.0


# From `benchmarks/calibrate_plan.py` on the default benchmark: one core of a 2-core x86-64 virtual
# machine (AVX-512), torch 2.13, a network of 0.2 M parameters on 8x8 images. Large networks get
# closer to a core's peak, and a GPU is hundreds of times faster.
CALIBRATION: dict[str, Calibration] = {
    "data": Calibration(1.0),
    "subsets": Calibration(1.0),
    "remaining": Calibration(1.0),
    "train_full": Calibration(3.0, 0.04),
    "train_full_seed": Calibration(3.0, 0.04),
    "train_block": Calibration(3.0, 0.023),
    "generate": Calibration(3.0, 0.02),
    "losses": Calibration(3.0, 0.016),
    "trajectories": Calibration(3.0, 0.02),
    "embed": Calibration(3.0, 0.016),
    "curvature": Calibration(3.0, 0.03),
    "features": Calibration(3.0, 0.03),
    "check_features": Calibration(3.0, 0.03),
    "lds_of_method": Calibration(0.5),
    "maps": Calibration(5.0),
    "audit_powers": Calibration(0.5),
    "originals": Calibration(3.0, 0.016),
    "redraw": Calibration(3.0, 0.02),
    "compare_redrawn": Calibration(3.0, 0.016),
    # Text-to-image rules are guesses; no benchmark has been calibrated on them.
    "captions": Calibration(20.0),
    "encode": Calibration(10.0, 0.016),
    "mirror": Calibration(10.0, 0.016),
    "pretrained": Calibration(5.0),
}

DEFAULTS: dict[Kind, Calibration] = {
    "network": Calibration(3.0, 0.02),
    "matrix": Calibration(0.2),
    "light": Calibration(0.2),
    "other": Calibration(3.0),
}
"""For rules without an entry, by the kind of their jobs: typical values of the kind."""


def calibration_of(rule: str) -> Calibration:
    """Return the calibrated cost of a rule, or the default of its kind."""
    return CALIBRATION.get(rule) or DEFAULTS[kind_of(rule)]


@dataclass(frozen=True)
class UnitCost:
    """Seconds of one rule's jobs, and the number of jobs measured (0: calibrated)."""

    per_job: float
    per_gflop: float
    n_measured: int

    def seconds(self, work: Work, size: NetworkSize) -> float:
        """Return the estimated time of one job."""
        return self.per_job + self.per_gflop * work.gflops(size)


def unit_costs(jobs: Iterable[PlannedJob], size: NetworkSize) -> dict[str, UnitCost]:
    """Return the unit cost of every rule, measured in this benchmark's results if there are any.

    Rules with a cost per operation are measured per operation, others per job.
    """
    measured: dict[str, list[tuple[float, float]]] = {}
    for job in jobs:
        runs = measured.setdefault(job.rule, [])
        if provenance_path(job.name).exists():
            runs.append((read_provenance(job.name)["seconds"], job.work.gflops(size)))
    costs = {}
    for rule, runs in measured.items():
        calibrated = calibration_of(rule)
        seconds, gflops = (sum(column) for column in zip(*runs, strict=True)) if runs else (0, 0)
        if not runs:
            costs[rule] = UnitCost(calibrated.per_job, calibrated.per_gflop, 0)
        elif calibrated.per_gflop:
            costs[rule] = UnitCost(0.0, seconds / gflops, len(runs))
        else:
            costs[rule] = UnitCost(seconds / len(runs), 0.0, len(runs))
    return costs


@dataclass(frozen=True)
class Accelerator:
    """Assumptions about a GPU: its peak TFLOP/s (dense), and the share of it that is reached."""

    tf32: float
    bf16: float
    utilisation: float

    def seconds(self, work: Work, size: NetworkSize, mixed_precision: str) -> float:
        """Return the time of one job's passes; only training uses mixed precision."""
        in_bf16 = work.model_steps > 0 and mixed_precision != "no"
        peak = self.bf16 if in_bf16 else self.tf32
        return ACCELERATED_START_S + work.gflops(size) / (1000 * peak * self.utilisation)


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
    calibrated, config = calibration_of(rule), benchmark.config
    algebra = work.algebra / (1e9 * _HOST_GFLOPS_PER_S * config.jobs.threads)
    precision = "no" if config.training is None else config.training.mixed_precision
    if kind_of(rule) == "network" and config.jobs.gpus:
        return accelerator.seconds(work, size, precision) + algebra
    return calibrated.per_job + calibrated.per_gflop * work.gflops(size) + algebra

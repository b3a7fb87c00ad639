"""The tables of sweeps: the settings and LDS of every cell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from diffattr.artifacts import Result
from diffattr.benchmark import Benchmark
from diffattr.benchmark.sweeps import axes_of
from diffattr.evaluation.result import LdsResult
from diffattr.report.cost import MethodCost
from diffattr.report.lds import LdsSummary, summary

Value = int | float | str


class CellLds(LdsSummary, frozen=True):
    """The LDS of one cell on one split.

    Attributes:
        at_lambda: LDS at the sweep's fixed lambdas, by lambda as text.
    """

    at_lambda: Mapping[str, float]


class Cell(Result, frozen=True):
    """One combination of a sweep's settings.

    Attributes:
        method: the name of the method that stands for the cell.
        values: its settings, by axis.
        gradients_per_image: timesteps x noise draws.
        seconds: wall-clock time of its jobs, summed; null where that is unknown.
        splits: LDS by split.
    """

    method: str
    values: Mapping[str, Value]
    gradients_per_image: int
    seconds: float | None
    splits: Mapping[str, CellLds]


class SweepTable(Result, frozen=True):
    """One method on every combination of some settings.

    Attributes:
        name: the sweep's key in the config.
        method: the registered method.
        features: the gradient pass and output function that the cells vary.
        axes: values by axis.
        lambdas: fixed lambdas at which every cell's LDS is reported too.
        cells: one per combination.
    """

    name: str
    method: str
    features: str
    axes: Mapping[str, Sequence[Value]]
    lambdas: Sequence[float]
    cells: Sequence[Cell]


def sweep_tables(
    benchmark: Benchmark,
    results: Mapping[str, Mapping[str, LdsResult]],
    costs: Mapping[str, MethodCost],
) -> Iterator[SweepTable]:
    """Yield the table of each sweep; `results` are by split and method."""
    for name, sweep in benchmark.written.sweeps.items():
        lambdas = sweep.over.lam or ()
        cells = []
        for cell in benchmark.cells:
            if cell.sweep != name:
                continue
            features = benchmark.config.features[benchmark.methods[cell.method].feature_set[0]]
            cells.append(
                Cell(
                    method=cell.method,
                    values=cell.values,
                    gradients_per_image=features.n_gradients,
                    seconds=costs[cell.method].seconds,
                    splits={
                        split: _cell_lds(results[split][cell.method], lambdas)
                        for split in benchmark.splits.lds_of(cell.method)
                    },
                )
            )
        yield SweepTable(
            name=name,
            method=sweep.method,
            features=sweep.features,
            axes=axes_of(sweep),
            lambdas=lambdas,
            cells=cells,
        )


def _cell_lds(found: LdsResult, lambdas: Iterable[float]) -> CellLds:
    curve = dict(zip(map(str, found.curve.lambdas), found.curve.lds, strict=True))
    return CellLds(**summary(found), at_lambda={str(lam): curve[str(lam)] for lam in lambdas})

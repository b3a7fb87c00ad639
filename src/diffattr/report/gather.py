"""Everything that the report says, gathered from its inputs."""

from collections.abc import Iterator

import msgspec

from diffattr.benchmark import Benchmark
from diffattr.counterfactual.result import CounterfactualResult
from diffattr.evaluation.comparison import verdict, verdict_counts
from diffattr.evaluation.planted import Planted
from diffattr.evaluation.result import LdsResult
from diffattr.report import cost, published
from diffattr.report.files import Inputs
from diffattr.report.lds import lds_table
from diffattr.report.queries import query_groups
from diffattr.report.structs import (
    FEATURE_TOLERANCE,
    Control,
    FeatureCheck,
    Method,
    QueryList,
    Report,
)
from diffattr.report.sweeps import sweep_tables


def gather(benchmark: Benchmark, inputs: Inputs) -> Report:
    """Return the report of a finished benchmark.

    The inputs and all that they descend from are counted in costs and origin.

    Raises:
        ArtifactError: an input is missing or damaged.
    """
    config, splits = benchmark.config, benchmark.splits.lds
    records = cost.lineage(cost.read_records(benchmark.paths.root), inputs.paths)
    costs = cost.method_costs(benchmark, records)
    results = {
        split: {
            name: inputs.struct(LdsResult, "lds", name, split)
            for name in benchmark.methods
            if split in benchmark.splits.lds_of(name)
        }
        for split in splits
    }
    tables = [lds_table(benchmark, inputs, split, results[split]) for split in splits]
    per_query = {
        table.split: {row.name: row.per_query for row in table.methods} for table in tables
    }
    files = inputs.files
    planted = inputs.struct(Planted, "planted") if files["planted"] else None
    return Report(
        name=config.name,
        config=msgspec.json.decode(msgspec.json.encode(benchmark.written)),
        model=config.model.pretrained,
        n_train=config.data.n_train,
        n_subsets=benchmark.measurement.subsets.lds.count if splits else None,
        n_seeds=len(benchmark.measurement.subsets.lds.seeds) if splits else None,
        confidence=benchmark.measurement.lds.confidence if splits else None,
        methods=[_method(benchmark, name, costs[name]) for name in benchmark.splits.named],
        lds=tables,
        claim=verdict_counts(pair.verdict for table in tables for pair in table.d_trak),
        published=published.beside(benchmark, results),
        planted=planted,
        queries=list(query_groups(benchmark, inputs, per_query, planted)),
        checks=list(_feature_checks(benchmark, inputs)),
        controls=[
            Control(
                split=table.split,
                name=row.name,
                lds=row.lds,
                interval=row.interval,
                passed=verdict(row.interval) == "undecided",
            )
            for table in tables
            for row in table.methods
            if benchmark.methods[row.name].kind == "random"
        ],
        measured=benchmark.measurement.lds.also_measured if splits else (),
        query_lists={
            name: QueryList(split=listed.split, n_queries=len(listed.queries))
            for name, listed in (benchmark.measurement.lds.query_lists if splits else {}).items()
        },
        sweeps=list(sweep_tables(benchmark, results, costs)),
        counterfactual=inputs.struct(CounterfactualResult, "counterfactual")
        if files["counterfactual"]
        else None,
        costs=cost.costs(records),
        origin=cost.origin(records, inputs.paths),
    )


def _feature_checks(benchmark: Benchmark, inputs: Inputs) -> Iterator[FeatureCheck]:
    for gradient_pass in benchmark.passes:
        check = inputs.json("checks", gradient_pass)
        for output_function, error in check["largest_relative_error"].items():
            yield FeatureCheck(
                gradient_pass=gradient_pass,
                output_function=output_function,
                n_images=check["n_images"],
                largest_relative_error=error,
                tolerance=FEATURE_TOLERANCE,
                passed=error <= FEATURE_TOLERANCE,
            )


def _method(benchmark: Benchmark, name: str, method_cost: cost.MethodCost) -> Method:
    options, method = benchmark.config.methods[name], benchmark.methods[name]
    n_gradients = None
    if method.gradient_pass is not None:
        gradient_pass = benchmark.config.features[method.gradient_pass]
        n_gradients = gradient_pass.n_gradients * len(method.models)
    return Method(
        name=name,
        method=options.method,
        needs=method.needs,
        features=options.features,
        gradient_pass=method.gradient_pass,
        output_function=method.output_function,
        models=method.models,
        n_retrained=method.n_retrained,
        gradients_per_image=n_gradients,
        has_lambda=method.has_lambda,
        lam=benchmark.params.lambda_of(name),
        lambda_by_rule=options.lam == "rule",
        cost=method_cost,
    )

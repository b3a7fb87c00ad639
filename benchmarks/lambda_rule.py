"""The cost of an untuned lambda: one multiple of the mean |phi|^2 for every benchmark.

Where nothing is retrained, LDS cannot select lambda. This compares fixed lambdas with the best in
hindsight, on the finished standard benchmarks in docs/results: per output function, the LDS lost on
average and at worst over its methods, both data sets and both splits. Lambda is in units of the
mean squared length of a training feature, trace(Gram) / n.

    python benchmarks/lambda_rule.py
"""

import argparse
import gzip
import json
from collections import defaultdict
from pathlib import Path

from tabulate import tabulate

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def curves() -> dict[str, list[tuple[str, list[float], list[float]]]]:
    """Return, by output function, (benchmark/split/method, lambdas, LDS) of every lambda path."""
    found = defaultdict(list)
    for path in sorted(RESULTS.glob("*/report.json.gz")):
        report = json.loads(gzip.decompress(path.read_bytes()))
        kinds = {method["name"]: method for method in report["methods"]}
        for table in report["lds"]:
            for method in table["methods"]:
                kind = kinds[method["name"]]
                if kind["method"] not in {"trak", "d-trak", "das"} or method["curve"] is None:
                    continue
                output_function = kind["output_function"]
                if "unit" in kind["gradient_pass"]:
                    output_function += ", unit gradients"
                name = f"{report['name']}/{table['split']}/{method['name']}"
                curve = method["curve"]
                found[output_function].append((name, curve["lambdas"], curve["lds"]))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="the same table")
    parser.parse_args()
    rows = []
    for output_function, paths in sorted(curves().items()):
        lambdas = paths[0][1]
        losses = [
            [max(curve) - curve[place] for _, _, curve in paths] for place in range(len(lambdas))
        ]
        # The least bad in the worst case, then on average.
        place = min(range(len(lambdas)), key=lambda p: (max(losses[p]), sum(losses[p])))
        best = [lambdas[curve.index(max(curve))] for _, _, curve in paths]
        worst = losses[place].index(max(losses[place]))
        rows.append(
            [
                output_function,
                len(paths),
                f"{min(best):g} to {max(best):g}",
                f"{lambdas[place]:g}",
                f"{sum(losses[place]) / len(paths):.3f}",
                f"{max(losses[place]):.3f}",
                paths[worst][0],
            ]
        )
    headers = [
        "output function",
        "paths",
        "best lambda",
        "rule",
        "mean loss of LDS",
        "worst",
        "where",
    ]
    print(tabulate(rows, headers, tablefmt="github"))


if __name__ == "__main__":
    main()

"""Does the length of training decide whether D-TRAK is better than TRAK? Hours; resumable.

Builds the default benchmark (or `--config`) at several lengths of training, with TRAK and D-TRAK
alone, each under results/<name>-epochs-<n>/, and shows LDS and the paired difference.
"""

import argparse
import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from tabulate import tabulate

from diffattr.artifacts import read_struct, write_text
from diffattr.evaluation.comparison import difference
from diffattr.evaluation.result import LdsResult

METHODS = ("trak-4", "d-trak-4", "trak-10", "d-trak-10", "trak-100", "d-trak-100")
ROOT = Path(__file__).parents[1]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--tiny", action="store_true", help="a quick run, to see that it works")
parser.add_argument("--config", default="config.yaml")
parser.add_argument("--epochs", type=int, nargs="+", default=[25, 50, 100, 200, 400])
parser.add_argument("--cores", default="all")
parser.add_argument("--out", type=Path, help="a file that gets the table as well")
options = parser.parse_args()
if options.tiny:
    options.config, options.epochs = "configs/smoke.yaml", [1]
base = yaml.safe_load((ROOT / options.config).read_text(encoding="utf-8"))
base["counterfactual"], base["sweeps"] = None, {}
methods = {name: base["methods"][name] for name in METHODS if name in base["methods"]}
passes = {method["features"].partition("/")[0] for method in methods.values()}
base |= {
    "methods": methods,
    "features": {name: base["features"][name] for name in passes},
    "embeddings": {},
    "curvatures": {},
}
base["full_model"]["checkpoints"] = []
lds_options = base["measurement"]["lds"] | {"also_measured": [], "powers": []}
base["measurement"]["lds"] = lds_options
base["measurement"]["subsets"]["retrain"]["count"] = 0
rows = []
for epochs in options.epochs:
    config = copy.deepcopy(base)
    config["name"] = f"{base['name']}-epochs-{epochs}"
    config["training"]["epochs"] = epochs
    folder = ROOT / "results" / config["name"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(config, indent=1))
    command = [sys.executable, "-m", "snakemake", "lds", "--cores", options.cores]
    quiet = ["--quiet", "rules", "host", "--configfile", str(path)]
    subprocess.run([*command, *quiet], cwd=ROOT, check=True)
    for split in ("val", "gen"):
        results = {
            name: read_struct(folder / "lds" / name / f"{split}.json", LdsResult)
            for name in methods
        }
        ceiling = next(iter(results.values())).ceiling
        for trak in (name for name in methods if name.startswith("trak")):
            found = difference(results, f"d-{trak}", trak, lds_options["confidence"])
            low, high = found.interval
            lds = [results[name].lds for name in (trak, f"d-{trak}")]
            bound = np.nan if ceiling is None else ceiling.bound
            between = f"{low:+.3f} to {high:+.3f}"
            rows.append([epochs, split, trak, *lds, found.difference, between, bound])
headers = ["epochs", "split", "TRAK", "its LDS", "D-TRAK", "difference", "interval", "bound"]
found = tabulate(rows, headers, tablefmt="github", floatfmt=".3f")
print(found)
if options.out is not None:
    write_text(options.out, f"{found}\n")

"""What does the workflow cost, compared with the work? Reads and times a finished benchmark."""

import subprocess
import sys
import time
from pathlib import Path

from common import arguments, show

from diffattr.artifacts import read_json

options = arguments(__doc__)
config = Path("configs/smoke.yaml") if options.tiny else Path("config.yaml")
name = "smoke" if options.tiny else "digits"


def seconds(*command: str) -> float:
    """Return the wall time of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


python = sys.executable
snakemake = (python, "-m", "snakemake", "all", "--configfile", str(config))
imports = {
    "heavy": "from diffattr.features.gradients import GradientPass;"
    "from diffusers.models.unets.unet_2d import UNet2DModel",
    "training": "import diffattr.diffusion.training;"
    "from diffusers.models.unets.unet_2d import UNet2DModel",
    "light": "import diffattr.attribution.store",
}
rows = [
    [f"imports of a {kind} job, s", seconds(python, "-c", code)] for kind, code in imports.items()
]
rows += [
    ["snakemake -n, s", seconds(*snakemake, "-n")],
    [
        "the config's part (import diffattr.benchmark), s",
        seconds(python, "-c", "import diffattr.benchmark"),
    ],
]
finished = Path("results") / name / "report" / "index.html"
if finished.exists():
    rows.append(["snakemake with nothing to do, s", seconds(*snakemake)])
    records = [read_json(path) for path in Path("results", name).rglob("*.provenance.json")]
    jobs = {(r["rule"], r["started"], str(r["wildcards"])): r for r in records}
    work = sum(job["seconds"] for job in jobs.values())
    rows += [["jobs", len(jobs)], ["work of all jobs, core-seconds", work]]
show(f"Workflow on {config}", ["what", "value"], rows)

"""Rule verify: check every artifact against its checksum."""

import shlex
import sys

from diffattr.artifacts import damaged, set_aside

problems = damaged(snakemake.params.root, snakemake.params.not_kept)
for path, problem in problems.items():
    print(f"{path}: {problem}")  # noqa: T201
    if path.exists():
        set_aside(path)
if problems:
    command = ["snakemake", *map(str, problems)]
    if snakemake.params.configfiles:
        command += ["--configfile", *map(str, snakemake.params.configfiles)]
    print(f"\nDamaged files were set aside. Rebuild them: {shlex.join(command)}")  # noqa: T201
    sys.exit(1)
print("Every artifact matches its checksum.")  # noqa: T201

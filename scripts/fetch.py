"""Rule fetch: download the data set's files."""

import sys

from diffattr.job import job

terminal = sys.stdout
with job(snakemake) as this:
    from diffattr.config import Data
    from diffattr.data.fetch import fetch

    print(fetch(this.section("data", Data)), file=terminal)

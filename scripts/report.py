"""Rule build_report: pages for people, the same numbers for machines, and tables."""

from diffattr.job import job

with job(snakemake) as this:
    from diffattr.benchmark import Benchmark
    from diffattr.config import Config
    from diffattr.report.write import write_report

    write_report(Benchmark(this.section("benchmark", Config)), this.output)

"""Rule build_report: pages for people, the same numbers for machines, and tables."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.benchmark import Benchmark
    from diffattr.config import kind_of
    from diffattr.report.files import Inputs
    from diffattr.report.write import write_report

    benchmark = Benchmark.of(this.section("benchmark", kind_of(this.config["benchmark"])))
    write_report(benchmark, Inputs.of(benchmark, this.input), this.output)

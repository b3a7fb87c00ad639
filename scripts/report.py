"""Rule build_report: the page, its numbers, and a table for the terminal."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_json, write_text
    from diffattr.benchmark import Benchmark
    from diffattr.config import Config
    from diffattr.report import page, table
    from diffattr.report.numbers import gather, redrawn_images
    from diffattr.report.viewer.source import write_viewer

    benchmark = Benchmark(this.section("benchmark", Config))
    numbers = gather(benchmark, this.input)
    images = {
        split: read_array(benchmark.pictures(split), mmap=True)
        for split in ("train", *benchmark.query_splits)
    }
    write_json(this.output.numbers, numbers)
    write_text(this.output.page, page.html(numbers, images))
    write_text(this.output.table, table.text(numbers))
    write_viewer(this.output.viewer, benchmark, numbers, images)
    if numbers["sweeps"]:
        write_text(this.output.sweeps, page.sweeps_html(numbers))
    if numbers["counterfactual"] is not None:
        redrawn = redrawn_images(benchmark)
        write_text(this.output.redrawn, page.counterfactual_html(numbers, {**images, **redrawn}))

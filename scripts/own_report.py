"""Rule build_report of one's own model: the pages, their numbers, and a table of proponents."""

from diffattr.jobs import job

with job(snakemake) as this:
    from diffattr.artifacts import read_array, write_json, write_text
    from diffattr.benchmark import Benchmark
    from diffattr.config import OwnModel
    from diffattr.report import page
    from diffattr.report.own_model import gather, proponents_csv
    from diffattr.report.viewer.source import write_viewer

    own = this.section("benchmark", OwnModel)
    benchmark = Benchmark.of(own)
    numbers = gather(benchmark, own, this.input)
    images = {
        split: read_array(benchmark.pictures(split), mmap=True)
        for split in ("train", *benchmark.query_splits)
    }
    write_json(this.output.numbers, numbers)
    write_text(this.output.page, page.own_model_html(numbers, images))
    write_text(this.output.table, proponents_csv(benchmark))
    write_viewer(this.output.viewer, benchmark, numbers, images)

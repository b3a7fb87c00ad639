# Planted queries are copies of training images, for every benchmark and every pretrained model.


if "planted" in benchmark.splits.queries:

    rule planted:
        """Rank the copies of the planted queries among all training images, by every method."""
        input:
            scores=[
                paths.scores(method, "planted")
                for method in benchmark.splits.methods_of("planted")
            ],
            train=paths.indices("train"),
            queries=paths.indices("planted"),
        output:
            paths.planted(),
        log:
            log_path("planted"),
        conda:
            ENVIRONMENT
        resources:
            **requested("planted"),
        params:
            config=benchmark.params(
                "evaluation", methods=benchmark.splits.methods_of("planted")
            ),
        script:
            "../scripts/planted.py"

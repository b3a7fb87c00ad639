# A benchmark for data attribution in diffusion models. The stages, in the order of the data:
#   data -> subsets, models -> generated queries -> losses, features -> attribution -> LDS,
#   counterfactual -> report
import msgspec
from diffattr.artifacts import write_text
from diffattr.config import yaml_text
from snakemake.utils import min_version

min_version("9.0")


# --configfile replaces the default benchmark; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"


localrules:
    all,
    report,
    lds,
    counterfactual,
    fetch,
    settings,
    plan,
    verify,


include: "rules/data.smk"


if benchmark.models.text_conditioned:

    include: "rules/latents.smk"


if benchmark.config.sampling:

    include: "rules/generation.smk"


include: "rules/features.smk"
include: "rules/attribution.smk"
include: "rules/planted.smk"


if benchmark.config.training:

    include: "rules/models.smk"

else:

    include: "rules/pretrained.smk"


if benchmark.config.measurement:

    include: "rules/subsets.smk"
    include: "rules/losses.smk"
    include: "rules/evaluation.smk"


if benchmark.config.counterfactual:

    include: "rules/counterfactual.smk"


include: "rules/report.smk"


rule report:
    """The report and everything that it needs."""
    input:
        REPORT_FILES.values(),
        KEPT_FILES,


rule lds:
    """LDS of every method."""
    input:
        by_wildcards(benchmark.inputs.lds),
        KEPT_FILES,


rule counterfactual:
    """The counterfactual evaluation."""
    input:
        by_wildcards(benchmark.inputs.counterfactual),
        KEPT_FILES,


rule settings:
    """Print the config, with inherited values and defaults filled in."""
    log:
        log_path("settings"),
    run:
        print(yaml_text(benchmark.written))


rule plan:
    """Estimate the cost of the benchmark and of what is left, without running any of it."""
    log:
        log_path("plan"),
    conda:
        ENVIRONMENT
    params:
        config=msgspec.json.encode(benchmark.written).decode(),
        cores=workflow.cores or 1,
        # snakemake plan --resources gpu=8
        gpus=workflow.global_resources.get("gpu").value or 1,
        snakefile=workflow.main_snakefile,
        rerun_triggers=lambda w: sorted(map(str, workflow.dag_settings.rerun_triggers)),
    script:
        "scripts/plan.py"


rule verify:
    """Check every artifact against its checksum; set damaged ones aside and print how to rebuild them."""
    log:
        log_path("verify"),
    conda:
        ENVIRONMENT
    params:
        root=paths.root,
        not_kept=(
            []
            if benchmark.config.jobs.keep_models
            else ["models/*/block-*.safetensors"]
        ),
        configfiles=workflow.overwrite_configfiles,
    script:
        "scripts/verify.py"


rule all:
    """The whole benchmark."""
    default_target: True
    input:
        REPORT_FILES.values(),
        KEPT_FILES,


onstart:
    write_text(paths("config.yaml"), yaml_text(benchmark.written))


onsuccess:
    if Path(REPORT_FILES["page"]).exists():
        print(f"Report: {REPORT_FILES['page']}")

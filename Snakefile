# A benchmark for data attribution in diffusion models. The stages, in the order of the data:
#   data -> subsets, models -> generated queries -> losses, features -> attribution -> LDS -> report
from snakemake.utils import min_version

min_version("9.0")


# --configfile replaces the default benchmark; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"


localrules:
    all,
    lds,


include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/losses.smk"
include: "rules/features.smk"
include: "rules/attribution.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"


rule all:
    """The whole benchmark."""
    default_target: True
    input:
        REPORT_FILES.values(),

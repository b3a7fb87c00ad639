"""The work of one job: one function per rule, in `models` up to the losses, then `attribution`.

Snakemake uses it at every start, so nothing here loads torch.
"""

from diffattr.plan.work import attribution, models
from diffattr.plan.work.base import RULES, Group, Kind, Work, kind_of, work_of

"""What jobs request of a cluster: where to run, how much memory and time, and with which others.

All of it follows from the plan's work functions and from `site.yaml`, which describes a cluster.
Like `diffattr.benchmark` this loads no torch, since Snakemake asks for it at every start.
"""

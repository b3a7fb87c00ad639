"""What jobs request from a cluster: partition, memory, time and group.

It follows from the plan's work functions and from `site.yaml`, which describes a cluster. Like
`diffattr.benchmark` this loads no torch, since Snakemake uses it at every start.
"""

"""The cost of a benchmark before it runs.

Jobs, their dependencies and what is left to run come from Snakemake's DAG (`dag`). A job's work is
one function per rule (`work`): passes through the network, training steps, bytes. Its time is this
work times a unit cost (`calibration`). No job is run and no array is read.
"""

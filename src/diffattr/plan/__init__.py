"""What a benchmark costs, before it runs.

Which jobs there are, what they wait for and which still have to run is Snakemake's own answer
(`dag`). What one job costs is one function per rule (`work`): passes through the network, training
steps, bytes. Its time is that work at a unit cost (`calibration`). Nothing is run and no array is
read.
"""

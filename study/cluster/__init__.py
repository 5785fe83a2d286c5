"""Ray: trials on one machine or on a cluster, its signals, its nodes, and jobs submitted to it.

Only this package imports ray; it starts what `execution` releases and passes on what workers report.
"""

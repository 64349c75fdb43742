"""The gauges of a worker, which are read as it is scraped.

Reading order: state, servers_up.
"""

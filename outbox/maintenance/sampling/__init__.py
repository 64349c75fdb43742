"""Samples what Postgres knows of jobs for the metrics of a relay: no scrape asks Postgres.

Reading order: sampler, sampled, totals, promises, walk, workers.
"""

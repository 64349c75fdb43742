"""Metrics for Prometheus: what each process counts and measures. docs/metrics.md lists them.

Needs the package prometheus-client, the extra `metrics`; no other part of the library imports this
one before metrics are asked for.
"""

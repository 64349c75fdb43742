"""Replays and discards dead letters, for `duly dlq`.

Read choice (the options that select them), bulk (finds, confirms, acts), then outcomes (reports).
"""

"""Waits for jobs and cancels them, for `duly jobs`.

Read options (those that select jobs), cancelling (finds, confirms, acts), then waiting.
"""

"""Reads jobs, waits for them and cancels them, for `duly jobs` and `duly batches`.

Read lines (jobs as JSON lines); options (those that select jobs), cancelling (finds, confirms,
acts), then waiting.
"""

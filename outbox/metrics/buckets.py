"""The upper bounds of the histograms' buckets: what each has to tell apart.

Each bound is a series for every kind, so there are no more than a question needs.
"""

START_DELAY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200)
"""From a worker that waits for jobs (a few milliseconds) to a backlog of hours."""
RUN = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 7200)
"""From one statement to the longest time limits, with the usual limits among them."""
FIX = (60, 300, 900, 3600, 14400, 28800, 86400, 259200, 604800, 2592000)
"""From an operator who is awake to a letter that somebody finds after a month."""
JOBS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""A group has at most 500."""
ROUND_TRIP = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15)
"""From a local disk to a server that is as good as away: confirms are waited for 15 s."""
REQUEST = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
"""From a read of one row to the 20 seconds that a request may take, and uploads beyond."""

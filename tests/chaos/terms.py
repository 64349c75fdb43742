"""What is the same for all systems, so that none has it easier."""

THREADS = 8
"""Jobs done at once by a worker process; there are three."""
ATTEMPTS = 8
FIRST_BACKOFF_SECONDS = 1
LONGEST_PAUSE_SECONDS = 10
"""Between attempts the pause doubles, up to this."""
BEATS = {"beat.every": 2, "beat.alone": 3}
"""Schedules, where a system has them: how many seconds apart their ticks are.

`beat.every` makes a job for each, also late; `beat.alone` only while no earlier one runs.
"""

"""What is the same for all systems, so that none has it easier."""

THREADS = 8
"""Jobs done at once by a worker process; there are three."""
ATTEMPTS = 8
FIRST_BACKOFF_SECONDS = 1
LONGEST_PAUSE_SECONDS = 10
"""Between attempts the pause doubles, up to this."""

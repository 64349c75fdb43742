"""One attempt at a job: the rules by which it ends, and what is told of it.

Reading order: attempt, attempt_events, about, attempt_trace.
"""

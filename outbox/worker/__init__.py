"""The worker process: it claims jobs, runs their actors and records the outcomes.

Reading order: process, worker, broker, claimer, in_flight, runners, attempt, attempt_events,
records, heartbeat, ownership, job_watch, periodic.
"""

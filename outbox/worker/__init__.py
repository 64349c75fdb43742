"""The worker process: it claims jobs, runs their actors and records the outcomes.

Reading order: process, worker, broker, claimer, in_flight, runners, attempts, records,
heartbeat, ownership, job_watch, periodic.
"""

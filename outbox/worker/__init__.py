"""The worker process: it claims jobs, runs their actors and records the outcomes.

Reading order: process, worker, broker, delivery, claimer, slots, in_flight, runners, attempt,
records, heartbeat, ownership.
"""

"""The worker process: it claims jobs, runs their actors and records the outcomes.

Reading order: process, broker, unusable_messages, thread_shares, claimer, in_flight, executor,
attempt, time_limit, records, heartbeat, ownership.
"""

"""Submits jobs with the caller's transaction, and wakes the relays up once it has committed.

Read submit, statement, sessions, job_connection and commit; then wake_up and rate_limit.
"""

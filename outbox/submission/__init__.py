"""Has jobs committed with the caller's rows, and wakes the relays up once they are.

Read submit, pending, write and statement; own_commits; sessions, job_connection and commit, which
save a round trip; then wake_up, wake_up_sender and rate_limit.
"""

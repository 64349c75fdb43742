"""Has jobs committed with the caller's rows, and wakes the relays up once they are.

Read submit and pending; own_commits; sessions and job_connection, which save a round trip; then
wake_up, wake_up_sender and rate_limit.
"""

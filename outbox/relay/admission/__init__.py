"""The admission of jobs with keys: which of those that wait are published next.

Read admitter, round, statements, decision, limits, permits, admission_window, pauses, key_cursor,
fair_shares.
"""

"""The admission of jobs with keys: which of those that wait are published next.

Read admitter, round, decision, limits, admission_window, fair_shares.
"""

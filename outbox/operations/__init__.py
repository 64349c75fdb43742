"""What people and clients do with jobs and dead letters: list, cancel, replay, discard.

Reading order: jobs, dead_letters, overdue; then acts (who did what) and pages (lists by id).
"""

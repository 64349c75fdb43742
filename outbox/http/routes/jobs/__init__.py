"""Jobs: their handlers, and the schemas of what these take and return.

Reading order: submit, new_job, open_work; handlers, schemas; reschedule, overdue.
"""

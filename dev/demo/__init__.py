"""`make demo`: starts everything and shows what a job service does, a scene for each subject.

Read story, then the scenes: invoices, charging, dead_letters, schedules, batches, imports, reports.
"""

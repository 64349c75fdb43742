"""The handlers of the API, and the schemas of what they take and return.

Reading order: submit_job, new_job, jobs, job_schemas, overdue_jobs, dead_letters, kinds, queues,
workers, health, index, problems. Several of them use cursors and moments.
"""

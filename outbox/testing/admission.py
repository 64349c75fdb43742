"""Admits a job where nothing else runs, so that no limit can be exceeded."""

ADMIT_ALONE = """
INSERT INTO duly.key_holders AS earlier (key, job_id, dispatch)
SELECT unnest(keys), id, dispatch FROM duly.jobs WHERE id = %(id)s
ON CONFLICT (job_id, key) DO UPDATE SET dispatch = excluded.dispatch
"""

"""What batches have to do with their members, for the statements that end and replay jobs."""


def in_cancelled(batch: str) -> str:
    """Whether the batch of this id, or one around it, was cancelled."""
    return f"""EXISTS (
    WITH RECURSIVE surrounding AS (
        SELECT parent_id, cancelled_at FROM duly.batches WHERE id = {batch}
        UNION ALL
        SELECT batches.parent_id, batches.cancelled_at
        FROM surrounding JOIN duly.batches ON batches.id = surrounding.parent_id
    )
    SELECT FROM surrounding WHERE cancelled_at IS NOT NULL
)"""


def count_ended(rows: str) -> str:
    """A CTE that adds one change for each batch whose members ended, among rows with a state.

    Only rows are added, and nothing is locked: however many members of a batch end at once, none
    waits for another.
    """
    return f"""change AS (
    INSERT INTO duly.batch_changes (batch_id, succeeded, dead, cancelled)
    SELECT batch_id, count(*) FILTER (WHERE state = 'succeeded'),
           count(*) FILTER (WHERE state = 'dead'), count(*) FILTER (WHERE state = 'cancelled')
    FROM {rows}
    WHERE batch_id IS NOT NULL AND state <> 'queued' AND state <> 'running'
    GROUP BY batch_id
)"""

"""What the end of a job changes in the counts of its batch, for the statements that end jobs."""


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

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


def count_ended(rows: str, *ends: str, some_stay: bool = False) -> str:
    """A CTE that adds one change for each batch whose members ended, among these rows.

    `ends` are the states that the statement ends jobs in. Where there are several, or where some of
    the rows have not ended, they have a `state`.

    Only rows are added, and nothing is locked: however many members of a batch end at once, none
    waits for another.
    """
    counts = [f"count(*) FILTER (WHERE state = '{end}')" for end in ends]
    counted = ", ".join(counts) if len(ends) > 1 else "count(*)"
    which = ", ".join(f"'{end}'" for end in ends)
    return f"""change AS (
    INSERT INTO duly.batch_changes (batch_id, {", ".join(ends)})
    SELECT batch_id, {counted}
    FROM {rows}
    WHERE batch_id IS NOT NULL{f" AND state IN ({which})" if some_stay else ""}
    GROUP BY batch_id
)"""

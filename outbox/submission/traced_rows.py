"""Says in a trace where jobs were submitted, and gives their rows the context of that."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from outbox.submission.rows import Row
from outbox.tracing.tracer import Tracer


def trace(tracer: Tracer, rows: Iterable[Row]) -> None:
    """Give rows that are submitted together their context: one span for all of the same kind.

    What is not sampled stays as it is. The span is there even if the transaction rolls back.
    """
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["kind"] or "", row["queue"] or ""].append(row)
    for (kind, queue), group in groups.items():
        if context := trace_of(tracer, kind, queue, [row["id"] or "" for row in group]):
            for row in group:
                row["trace"] = context


def trace_of(tracer: Tracer, kind: str, queue: str, job_ids: Collection[str] = ()) -> str | None:
    """The context in which these jobs were made, if it is sampled."""
    creation = tracer.create()
    creation.of_jobs(kind, queue, job_ids)
    return creation.context

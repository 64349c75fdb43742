"""How fast a worker claims, runs and records."""

from outbox.events import Claimed, Failed, Started, Succeeded
from outbox.listeners.measures import EmptyClaim, GroupCommitted
from outbox.metrics import buckets
from outbox.metrics.registry import Metrics


def measure(metrics: Metrics) -> None:
    """Measure from now on."""
    _claims(metrics)
    _times(metrics)
    _group_commit(metrics)


def _claims(metrics: Metrics) -> None:
    claims = metrics.counter("duly_claims_total", "Jobs claimed.", "queue")
    empty = metrics.counter("duly_empty_claims_total", "Messages without a job to claim.", "queue")
    metrics.on(Claimed, lambda event: claims.of(event.queue).inc())
    metrics.on(EmptyClaim, lambda claim: empty.of(claim.queue).inc())


def _times(metrics: Metrics) -> None:
    delay = metrics.histogram(
        *("duly_start_delay_seconds", "From when a job is due to its first attempt.", "kind"),
        buckets=buckets.START_DELAY,
    )
    run = metrics.histogram(
        *("duly_run_seconds", "How long attempts ran that succeeded or failed.", "kind"),
        buckets=buckets.RUN,
    )
    # Without labels it begins at 0: Prometheus sees no increase in a series that begins at 1.
    fix = metrics.histogram(
        *("duly_fix_seconds", "From a job's first death to its success after a replay."),
        buckets=buckets.FIX,
    )

    def started(event: Started) -> None:
        if event.attempt == 1:
            delay.of(event.kind).observe(max(event.late_seconds, 0.0))

    def fixed(event: Succeeded) -> None:
        if event.fix_seconds is not None:
            fix.of().observe(max(event.fix_seconds, 0.0))

    def ended(event: Succeeded | Failed) -> None:
        run.of(event.kind).observe(event.seconds)

    metrics.on(Started, started)
    metrics.on(Succeeded, ended)
    metrics.on(Succeeded, fixed)
    metrics.on(Failed, ended)


def _group_commit(metrics: Metrics) -> None:
    jobs = metrics.histogram(
        *("duly_group_commit_jobs", "How many jobs' rows one commit wrote.", "statement"),
        buckets=buckets.JOBS,
    )
    seconds = metrics.histogram(
        *("duly_group_commit_seconds", "How long the round trip of a commit took.", "statement"),
        buckets=buckets.ROUND_TRIP,
    )

    def committed(commit: GroupCommitted) -> None:
        jobs.of(commit.statement).observe(commit.jobs)
        seconds.of(commit.statement).observe(commit.seconds)

    metrics.on(GroupCommitted, committed)

"""Time, which the protocol reads from the database only, and tests let pass at once."""

from tests.support.engine.by_hand import ByHand

PASS = """
WITH jobs AS (
    UPDATE duly.jobs SET run_at = run_at - interval '1 hour' WHERE state = 'queued'
), events AS (
    UPDATE duly.outbox_events SET available_at = available_at - interval '1 hour'
), publications AS (
    UPDATE duly.publications SET published_at = published_at - interval '1 hour'
)
UPDATE duly.workers SET heartbeat_at = heartbeat_at - interval '1 hour'
WHERE name <> ALL (%(beating)s)
"""


def an_hour_passes(hand: ByHand, beating: set[str]) -> None:
    """All that waits is due, and those who do not beat have been silent for long."""
    hand.take(PASS, beating=list(beating))

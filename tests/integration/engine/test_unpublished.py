"""For how long a relay has left jobs with keys undone: what DulyOutboxLag fires for."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from outbox import Key, Kinds, Rate
from outbox.operations import status
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

KEY = Key(lambda _: "x", at_most=1, rate=Rate(1, timedelta(hours=1)))
KINDS = Kinds(note_kind("q", KIND, key=KEY))
HOLDING = Kinds(note_kind("q", KIND, key=Key(lambda _: "x", ordered=True, hold=True)))
TAKE_PERMIT = """
INSERT INTO duly.key_clocks (key, tat, not_before)
VALUES (%(key)s, now() + %(taken)s::interval, now() + %(paused)s::interval)
"""
MAKE_OLD = "UPDATE duly.outbox_events SET available_at = now() - interval '10 minutes'"


def waited(session: Session, kinds: Kinds = KINDS) -> float:
    found = status.queues(session, kinds, timedelta(seconds=10))
    session.rollback()
    return next((each.unpublished_seconds for each in found if each.queue == "q"), None) or 0


@pytest.fixture
def keyed(by_hand: ByHand) -> Keyed:
    """Two jobs of the keys A and B, due for ten minutes."""
    keyed = Keyed(by_hand)
    keyed.submit("A")
    keyed.submit("B")
    by_hand.take(MAKE_OLD)
    return keyed


@pytest.mark.usefixtures("keyed")
def test_jobs_with_keys_that_nobody_admits_wait_for_a_relay(session: Session) -> None:
    assert 600 <= waited(session) < 660


def test_jobs_behind_one_that_was_admitted_wait_for_no_relay(
    session: Session, keyed: Keyed
) -> None:
    keyed.admit("A")
    assert waited(session) < 60


def test_a_dead_job_that_keeps_its_key_excuses_no_other_key(
    session: Session, keyed: Keyed, by_hand: ByHand
) -> None:
    by_hand.die(keyed.running("C"))
    keyed.submit("C")
    by_hand.take(MAKE_OLD)
    assert 600 <= waited(session, HOLDING) < 660
    by_hand.take("DELETE FROM duly.outbox_events WHERE keys <> '{C}'")
    assert waited(session, HOLDING) == 0


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(
    ("taken", "paused", "least"),
    [
        ("1 hour", "0", 0),
        ("0", "1 hour", 0),
        ("-5 minutes", "-1 hour", 300),
        ("-1 hour", "-5 minutes", 300),
    ],
)
def test_jobs_wait_for_a_relay_from_when_there_is_a_permit_of_their_keys(
    session: Session, by_hand: ByHand, taken: str, paused: str, least: int
) -> None:
    for key in ("A", "B"):
        by_hand.take(TAKE_PERMIT, key=key, taken=taken, paused=paused)
    assert least <= waited(session) < least + 60

"""For how long a relay has left undone what it could do: what waits for its keys is not that."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from outbox import Key, Kinds, Rate
from outbox.operations import status
from outbox.operations.flow import key_limits
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import Keyed
from tests.support.engine.line import note_kind

TEN_A_MINUTE = Rate(10, timedelta(minutes=1))
AGE = "UPDATE duly.outbox_events SET available_at = now() - interval '10 min'"


@pytest.fixture
def keyed(by_hand: ByHand) -> Keyed:
    """Two jobs of the key A, which have waited for ten minutes."""
    keyed = Keyed(by_hand)
    for _ in range(2):
        keyed.submit("A")
    by_hand.take(AGE)
    return keyed


def waited(session: Session, **options: object) -> float | None:
    kinds = Kinds(note_kind("q", KIND, key=Key(lambda _: "A", **options)))  # type: ignore[arg-type]
    (found,) = status.queues(session, kinds, timedelta(seconds=10))
    session.rollback()  # the next look has another now()
    return found.unpublished_seconds


@pytest.mark.usefixtures("keyed")
def test_keyed_jobs_that_nobody_admits_have_waited(session: Session) -> None:
    assert 600 <= (waited(session) or 0) < 660
    assert 600 <= (waited(session, at_most=1) or 0) < 660


@pytest.mark.usefixtures("keyed")
def test_jobs_that_may_wait_for_a_permit_have_not(session: Session) -> None:
    assert waited(session, rate=TEN_A_MINUTE) is None
    key_limits.set_limit(session, "A", rate=TEN_A_MINUTE, by="ann")
    session.commit()
    assert waited(session) is None


def test_jobs_behind_one_that_holds_their_key_have_not(session: Session, keyed: Keyed) -> None:
    assert keyed.admit("A")
    keyed.hand.take("DELETE FROM duly.outbox_events WHERE keys IS NULL")
    assert waited(session, at_most=1) is None

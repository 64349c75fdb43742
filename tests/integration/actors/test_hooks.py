"""Events of webhooks without HTTP: in any order, and deleted when they are old."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from actors import hooks
from outbox.testing import run
from service.hooks.keeping import keep
from service.hooks.kinds import PruneHookEvents
from service.hooks.models import HookEvent
from service.hooks.reading import Event, standard_event, stripe_event
from tests.integration.actors.conftest import Configure
from tests.support.outside import senders

STATE = text("""
SELECT event.source, event.event_id, event.type, event.payload,
       job.kind, job.payload, job.subject = 'hook-event:' || event.id
FROM hook_events AS event FULL JOIN duly.jobs AS job ON job.id = event.job_id
ORDER BY event.source, event.event_id
""")
SMALL = st.sampled_from("abc")


def _stripe(event_id: str, event_type: str, intent: str | None) -> Event:
    about = {"id": intent, "payment_intent": intent}
    return stripe_event(senders.stripe_event(event_id, event_type, **about))


def _standard(source: str, event_id: str) -> Event:
    return standard_event(source, event_id, json.dumps({"type": "x.y"}).encode())


TYPES = ["payment_intent.processing", "payment_intent.succeeded", "charge.refunded", "new.type"]
EVENTS = st.one_of(
    st.builds(_stripe, SMALL, st.sampled_from(TYPES), st.sampled_from(["pi_1", "pi_2", None])),
    st.builds(_standard, st.sampled_from(["crm", "shop"]), SMALL),
)
SETS = st.lists(EVENTS, min_size=1, max_size=4, unique_by=lambda e: (e.source, e.event_id))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SETS, st.data())
def test_any_order_and_number_of_deliveries_ends_in_the_same_state(
    session: Session, events: list[Event], data: st.DataObject
) -> None:
    more = data.draw(st.lists(st.sampled_from(events), max_size=4))
    deliveries = data.draw(st.permutations(events + more))

    once = _state_after(session, events)

    assert _state_after(session, deliveries) == once
    assert len(once) == len(events)


@pytest.fixture
def kept(session: Session) -> Callable[..., None]:
    """Stores events that came so many days ago."""

    def keep_all(events: Sequence[Event], days: int) -> None:
        for event in events:
            row = session.get_one(HookEvent, keep(session, event).id)
            row.received_at = func.now() - timedelta(days=days)
        session.commit()

    return keep_all


def test_old_events_are_deleted_and_counted(
    kept: Callable[..., None],
    session: Session,
    engine: Engine,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(keep_hook_events="P30D")
    monkeypatch.setattr(hooks, "AT_ONCE", 2)
    kept([_stripe(f"old_{number}", TYPES[0], "pi_1") for number in range(4)], days=31)
    kept([_standard("crm", "old")], days=31)
    kept([_standard("crm", "young")], days=29)

    assert run(hooks.prune, PruneHookEvents(), engine) == {"taken": 4, "unknown": 1}
    assert session.scalars(select(HookEvent.event_id)).all() == ["young"]
    assert run(hooks.prune, PruneHookEvents(), engine) == {"taken": 0, "unknown": 0}


def test_forever_deletes_none(
    kept: Callable[..., None], engine: Engine, configure: Configure
) -> None:
    configure(keep_hook_events="forever")
    kept([_standard("crm", "old")], days=10_000)

    assert run(hooks.prune, PruneHookEvents(), engine) == {"taken": 0, "unknown": 0}


def _state_after(session: Session, deliveries: Sequence[Event]) -> list[Any]:
    for event in deliveries:
        keep(session, event)
    state = [tuple(row) for row in session.execute(STATE)]
    session.rollback()
    return state

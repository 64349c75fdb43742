"""Events that are signed are stored with their jobs, once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.hooks.jobs_of_events import STRIPE, WORK_OF
from tests.integration.http.hooks import Hooks, new_id
from tests.support.engine.by_hand import WAITING
from tests.support.outside.senders import OLD_SECRET, stripe_event, stripe_headers
from tests.support.wait import wait_for

ADDRESS_CHANGED = b'{"type": "customer.address_changed", "timestamp": "2026-01-31T09:00:00Z"}'


@pytest.mark.parametrize("event_type", WORK_OF[STRIPE])
def test_an_event_of_stripe_is_stored_with_its_job(hooks: Hooks, event_type: str) -> None:
    event_id, intent = new_id(), new_id("pi")
    about = {"payment_intent": intent, "id": new_id("ch")}
    about = {"id": intent} if event_type.startswith("payment_intent.") else about
    body = stripe_event(event_id, event_type, **about)

    answer = hooks.from_stripe(body)

    assert (answer.status_code, answer.json()["state"]) == (200, "taken")
    (job,) = hooks.jobs(intent)
    assert hooks.stored(event_id) == [("stripe", event_type, body, job)]
    shown = hooks.operator.get(f"/v1/jobs/{job}").json()
    assert shown["kind"] == "payment.settled"
    assert shown["submitted_by"] == "hook source stripe"


def test_an_event_that_comes_again_does_nothing(hooks: Hooks) -> None:
    event_id, intent = new_id(), new_id("pi")
    body = stripe_event(event_id, id=intent)

    first, second = hooks.from_stripe(body), hooks.from_stripe(body)

    assert (second.status_code, second.json()) == (200, first.json() | {"duplicate": True})
    assert first.json()["duplicate"] is False
    assert (len(hooks.jobs(intent)), len(hooks.stored(event_id))) == (1, 1)


def test_of_two_deliveries_at_once_the_second_waits_and_does_nothing(hooks: Hooks) -> None:
    event_id, intent = new_id(), new_id("pi")
    body = stripe_event(event_id, id=intent)

    with psycopg.connect(hooks.database_url) as other, ThreadPoolExecutor(2) as threads:
        other.execute("LOCK TABLE hook_events IN SHARE MODE")
        both = [threads.submit(hooks.from_stripe, body) for _ in range(2)]
        wait_for("both", lambda: len(hooks.database.execute(WAITING).fetchall()) == 2)
        other.commit()
        answers = [each.result() for each in both]

    assert [each.status_code for each in answers] == [200, 200]
    assert sorted(each.json()["duplicate"] for each in answers) == [False, True]
    assert (len(hooks.jobs(intent)), len(hooks.stored(event_id))) == (1, 1)


def test_two_sources_may_give_the_same_id(hooks: Hooks) -> None:
    event_id = new_id()
    body = stripe_event(event_id, "customer.created")

    answers = [hooks.from_stripe(body), hooks.from_crm(body, event_id)]

    assert [each.json()["duplicate"] for each in answers] == [False, False]
    assert [row[0] for row in hooks.stored(event_id)] == ["crm", "stripe"]


def test_an_old_secret_is_good_while_it_is_in_the_settings(hooks: Hooks) -> None:
    assert hooks.from_stripe(stripe_event(new_id()), secret=OLD_SECRET).status_code == 200


def test_one_good_signature_among_several_is_enough(hooks: Hooks) -> None:
    body = stripe_event(new_id())
    header = stripe_headers(body)["Stripe-Signature"]
    at, good = header.split(",")
    several = f"{at},v0={'0' * 64},v1={'0' * 64},{good}"

    assert hooks.send("stripe", body, {"Stripe-Signature": several}).status_code == 200


def test_an_event_of_a_type_that_nobody_knows_is_stored(hooks: Hooks) -> None:
    event_id = new_id("msg")

    answer = hooks.from_crm(ADDRESS_CHANGED, event_id)

    assert (answer.status_code, answer.json()["state"]) == (200, "unknown")
    assert hooks.stored(event_id) == [("crm", "customer.address_changed", ADDRESS_CHANGED, None)]
    shown = hooks.operator.get(f"/v1/hook-events/{answer.json()['id']}").json()
    assert shown["created_at"] == "2026-01-31T09:00:00Z"
    assert datetime.fromisoformat(shown["received_at"]) > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("about", "error"),
    [
        ({"id": None}, "ValidationError"),
        ({"id": "pi_\0"}, "ValidationError"),
        ({"id": "pi_\ud800"}, "ValidationError"),
        ({"id": ["pi"]}, "ValidationError"),
        ({"id": "x" * 90_000}, "ValidationError"),
    ],
)
def test_an_event_without_what_its_job_needs_is_stored_with_why(
    hooks: Hooks, about: dict[str, Any], error: str
) -> None:
    answer = hooks.from_stripe(stripe_event(new_id(), **about))

    assert (answer.status_code, answer.json()["state"]) == (200, "unknown")
    why = hooks.operator.get(f"/v1/hook-events/{answer.json()['id']}").json()["why"]
    assert why.startswith("the event lacks what its job needs (")
    assert error in why


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 90_000,
        b'{"type": ' * 10_000,
        b'{"type": "a", "type": "b\\u0000"}',
        b'{"type": "\\ud800"}',
        b'{"type": {"a": 1}}',
        b'{"type": 1e999, "n": NaN}',
        b'{"type": "' + b"x" * 300 + b'"}',
        b'{"timestamp": "0001-01-01T00:00:00+14:00"}',
        b'{"timestamp": 1e308}',
        b"{" + b'"a": 1, ' * 9_000 + b'"b": ' + b"9" * 5_000 + b"}",
        b"a=b&c=d",
        b"\0\0\0",
    ],
    ids=lambda body: body[:20].decode(),
)
def test_whatever_a_known_source_signs_is_stored_as_it_came(hooks: Hooks, body: bytes) -> None:
    event_id = new_id("msg")

    answer = hooks.from_crm(body, event_id)

    assert (answer.status_code, answer.json()["state"]) == (200, "unknown")
    assert hooks.stored(event_id) == [("crm", None, body, None)]
    shown = hooks.operator.get(f"/v1/hook-events/{answer.json()['id']}").json()
    assert (shown["payload"].encode(), shown["created_at"]) == (body, None)
    assert hooks.operator.get("/v1/hook-events").status_code == 200


@pytest.mark.parametrize("created", [10**30, -(10**12), "soon", None, 1.5, True])
def test_a_time_that_cannot_be_is_left_out(hooks: Hooks, created: object) -> None:
    event = json.loads(stripe_event(new_id(), "customer.created")) | {"created": created}

    answer = hooks.from_stripe(json.dumps(event).encode())

    shown = hooks.operator.get(f"/v1/hook-events/{answer.json()['id']}").json()
    assert (answer.status_code, shown["created_at"]) == (200, None)

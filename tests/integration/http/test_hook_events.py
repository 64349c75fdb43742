"""Events that came: listed, looked at, and taken by a release that knows them."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from outbox import Work
from service.hooks import jobs_of_events
from service.mail.kinds import SEND_EMAIL
from tests.integration.http.hooks import Hooks, new_id
from tests.support.outside.senders import stripe_event

Unknown = Callable[[str], dict[str, Any]]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A newer release knows this type of the source `crm`."""

    def know(event_type: str) -> None:
        monkeypatch.setitem(jobs_of_events.WORK_OF, "crm", {event_type: _welcome})

    return know


def test_an_unknown_event_is_taken_by_a_release_that_knows_it(
    hooks: Hooks, known: Callable[[str], None]
) -> None:
    event = _unknown(hooks, kind := new_id("type"))
    early = hooks.operator.post(event["links"]["take"])
    known(kind)

    taken = hooks.operator.post(event["links"]["take"], json={"why": "0.2 knows it"})
    again = hooks.operator.post(event["links"]["take"])

    assert (early.status_code, early.json()["detail"]) == (409, jobs_of_events.NO_JOB)
    assert (taken.status_code, taken.json()["state"], taken.json()["why"]) == (200, "taken", None)
    job = hooks.operator.get(taken.json()["links"]["job"]).json()
    assert (job["kind"], job["subject"]) == ("email.send", f"hook-event:{event['id']}")
    assert job["submitted_by"].startswith("test (")
    assert again.status_code == 409
    assert _acts(hooks, event) == [("hook-event-take", "0.2 knows it")]


def test_an_event_whose_job_could_not_be_stored_is_unknown(
    hooks: Hooks, known: Callable[[str], None]
) -> None:
    known(kind := new_id("type"))

    event = _unknown(hooks, kind, text="\0")

    assert (event["state"], event["why"]) == (
        "unknown",
        "the event lacks what its job needs (ValueError)",
    )


def test_all_of_a_type_are_taken_page_by_page_and_the_unfit_ones_stay(
    hooks: Hooks, known: Callable[[str], None]
) -> None:
    kind = new_id("type")
    events = [_unknown(hooks, kind, to) for to in ("a@example.com", "nobody", "b@example.com")]
    other = _unknown(hooks, new_id("type"))
    known(kind)

    first = _take(hooks, type=kind, limit=2)
    rest = _take(hooks, type=kind, limit=2, cursor=first["next_cursor"])

    ids = [event["id"] for event in events]
    assert [each["id"] for each in first["taken"] + rest["taken"]] == [ids[0], ids[2]]
    assert [each["id"] for each in first["still_unknown"]] == [ids[1]]
    assert "ValidationError" in first["still_unknown"][0]["why"]
    assert (rest["still_unknown"], rest["next_cursor"]) == ([], None)
    assert _look(hooks, other)["state"] == "unknown"
    assert _take(hooks, source="crm", type=kind)["taken"] == []
    assert _acts(hooks, events[2]) == [("hook-event-take", None)]


def test_unknown_and_taken_events_are_listed_by_what_they_are(hooks: Hooks) -> None:
    unknown = _unknown(hooks, kind := new_id("type"))
    taken = hooks.from_stripe(stripe_event(event_id := new_id())).json()

    def listed(**wanted: str) -> list[str]:
        found = hooks.operator.get("/v1/hook-events", params=wanted).json()["hook_events"]
        return [each["id"] for each in found]

    assert listed(type=kind) == listed(type=kind, state="unknown") == [unknown["id"]]
    assert listed(type=kind, state="taken") == listed(type=kind, source="stripe") == []
    assert taken["id"] in listed(state="taken", source="stripe")
    assert hooks.stored(event_id)[0][3] is not None


def test_listed_events_are_the_newest_first(hooks: Hooks) -> None:
    kind = new_id("type")
    ids = [_unknown(hooks, kind)["id"] for _ in range(3)]

    def listed(**more: str) -> Any:
        params: dict[str, Any] = {"type": kind, "limit": 2, **more}
        return hooks.operator.get("/v1/hook-events", params=params).json()

    page = listed()
    rest = listed(cursor=page["next_cursor"])

    found = [each["id"] for each in page["hook_events"] + rest["hook_events"]]
    assert found == ids[::-1]


def test_a_payload_is_shown_to_keys_with_the_scope_payloads_only_and_that_is_on_record(
    hooks: Hooks,
) -> None:
    event = _unknown(hooks, new_id("type"))
    path = event["links"]["self"]

    hidden = hooks.admin.get(path)
    shown = hooks.operator.get(path, params={"why": "a complaint"})

    assert hidden.json()["payload"] == "[redacted]"
    assert json.loads(shown.json()["payload"])["data"]["to"] == "ada@example.com"
    assert _acts(hooks, event) == [("look", "a complaint")]
    assert "ada@" not in hooks.operator.get("/v1/hook-events").text


def test_an_event_that_does_not_exist_is_not_found(hooks: Hooks) -> None:
    path = f"/v1/hook-events/{uuid4()}"
    assert hooks.operator.get(path).status_code == 404
    assert hooks.operator.post(f"{path}/take").status_code == 404


def _welcome(event: jobs_of_events.Content) -> Work[Any]:
    return SEND_EMAIL(to=event["data"]["to"], subject="Welcome", text=event["data"]["text"])


def _unknown(
    hooks: Hooks, event_type: str, to: str = "ada@example.com", text: str = "Hello."
) -> dict[str, Any]:
    body = json.dumps({"type": event_type, "data": {"to": to, "text": text}}).encode()
    answer = hooks.from_crm(body, new_id("msg"))
    found = hooks.operator.get("/v1/hook-events", params={"type": event_type}).json()
    return next(each for each in found["hook_events"] if each["id"] == answer.json()["id"])


def _look(hooks: Hooks, event: dict[str, Any]) -> Any:
    return hooks.operator.get(event["links"]["self"]).json()


def _take(hooks: Hooks, **wanted: Any) -> Any:
    return hooks.operator.post("/v1/hook-takes", json=wanted).json()


def _acts(hooks: Hooks, event: dict[str, Any]) -> list[tuple[Any, ...]]:
    query = "SELECT act, why FROM duly.acts WHERE about @> %s ORDER BY id"
    return hooks.database.execute(query, [[f"hook-event:{event['id']}"]]).fetchall()

"""Who may send events: adding and deleting sources, and the rotation of their secrets."""

from base64 import b64decode
from typing import Any

import pytest

from tests.integration.http.hooks import Hooks, new_id
from tests.support.outside.senders import OLD_SECRET, SECRET, standard_headers


@pytest.fixture
def source(hooks: Hooks) -> str:
    """A source of the test's own, with the secret that its sender made."""
    name = new_id("source")
    made = hooks.operator.post("/v1/hook-sources", json={"name": name, "secret": OLD_SECRET})
    assert (made.status_code, made.json()["secret"]) == (201, OLD_SECRET)
    return name


def test_a_secret_is_made_and_shown_once(hooks: Hooks) -> None:
    made = hooks.operator.post("/v1/hook-sources", json={"name": new_id("source")}).json()
    listed = hooks.operator.get("/v1/hook-sources")

    secret = made.pop("secret")
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert made in listed.json()["hook_sources"]
    assert secret not in listed.text
    assert _delivered(hooks, made["name"], secret) == 200


def test_after_a_rotation_both_secrets_are_good_for_the_overlap(hooks: Hooks, source: str) -> None:
    rotated = hooks.operator.post(f"/v1/hook-sources/{source}/rotate", json={"secret": SECRET})

    assert rotated.json()["previous_until"] is not None
    assert [_delivered(hooks, source, each) for each in (OLD_SECRET, SECRET)] == [200, 200]
    _let_overlap_pass(hooks, source)
    assert [_delivered(hooks, source, each) for each in (OLD_SECRET, SECRET)] == [400, 200]


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(hooks: Hooks, source: str) -> None:
    path = f"/v1/hook-sources/{source}/rotate"
    new = hooks.operator.post(path, json={"overlap_hours": 0}).json()["secret"]

    assert [_delivered(hooks, source, each) for each in (OLD_SECRET, new)] == [400, 200]


def test_a_rotation_needs_no_body(hooks: Hooks, source: str) -> None:
    new = hooks.operator.post(f"/v1/hook-sources/{source}/rotate").json()["secret"]

    assert [_delivered(hooks, source, each) for each in (OLD_SECRET, new)] == [200, 200]


def test_a_deleted_source_is_refused_and_its_events_stay(hooks: Hooks, source: str) -> None:
    assert _delivered(hooks, source, OLD_SECRET) == 200
    path = f"/v1/hook-sources/{source}"

    assert [hooks.operator.delete(path).status_code for _ in range(2)] == [204, 404]
    assert hooks.operator.post(f"{path}/rotate").status_code == 404
    assert _delivered(hooks, source, OLD_SECRET) == 400
    kept = hooks.operator.get("/v1/hook-events", params={"source": source}).json()["hook_events"]
    assert len(kept) == 1


def test_each_act_is_on_record(hooks: Hooks, source: str) -> None:
    path = f"/v1/hook-sources/{source}"
    hooks.operator.post(f"{path}/rotate", json={"why": "a year old"})
    hooks.operator.delete(path, params={"why": "cancelled"})

    found = hooks.database.execute(
        "SELECT act, why FROM duly.acts WHERE about = %s ORDER BY id", [[f"hook-source:{source}"]]
    )
    assert found.fetchall() == [
        ("hook-source-create", None),
        ("hook-source-rotate", "a year old"),
        ("hook-source-delete", "cancelled"),
    ]


def test_a_name_is_given_once(hooks: Hooks, source: str) -> None:
    again = hooks.operator.post("/v1/hook-sources", json={"name": source, "secret": SECRET})

    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert _delivered(hooks, source, OLD_SECRET) == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "stripe"}, "name"),
        ({"name": "A/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"name": "a", "secret": "hunter2"}, "secret"),
        ({"name": "a", "secret": "whsec_" + "A" * 33}, "secret"),
        ({"name": "a", "secret": "whsec_"}, "secret"),
        ({"name": "a", "keys": 1}, "keys"),
    ],
)
def test_a_wrong_field_is_named_and_not_quoted(
    hooks: Hooks, body: dict[str, Any], field: str
) -> None:
    answer = hooks.operator.post("/v1/hook-sources", json=body)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "hunter2" not in answer.text


def _delivered(hooks: Hooks, source: str, secret: str) -> int:
    body, event_id = b'{"type": "x.y"}', new_id("msg")
    return hooks.send(source, body, standard_headers(body, event_id, secret)).status_code


def _let_overlap_pass(hooks: Hooks, source: str) -> None:
    hooks.database.execute(
        "UPDATE hook_sources SET previous_until = now() WHERE name = %s", [source]
    )

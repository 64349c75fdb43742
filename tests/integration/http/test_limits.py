"""Limits of keys over HTTP."""

from typing import Any

import httpx2
import psycopg

from outbox.operations.api_keys import Scope
from tests.integration.http.conftest import MakeClient

RECORD = "SELECT act, who, why, about FROM duly.acts WHERE act LIKE 'limit-%' ORDER BY id"
KEY = "url:https://example.com/hook"


def test_a_limit_is_set_shown_and_lifted(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    path = "/v1/limits/" + KEY.replace("/", "%2F")
    rate = {"permits": 10, "per_seconds": 60, "burst": 3}
    answer = client.put(path, json={"at_most": 2, "rate": rate, "why": "slow"})
    was_set = answer.raise_for_status().json()
    assert (was_set["key"], was_set["at_most"], was_set["rate"]) == (KEY, 2, rate)
    (shown,) = client.get("/v1/limits").json()["limits"]
    assert (shown["key"], shown["at_most"], shown["rate"]) == (KEY, 2, rate)
    assert (shown["running"], shown["set"]) == (0, was_set)
    assert client.put(f"/v1/limits/{KEY}", json={"at_most": 5}).json()["rate"] is None
    assert client.delete(path, params={"why": "fast"}).status_code == 204
    assert client.get("/v1/limits").json()["limits"] == []
    gone = client.delete(path)
    assert (gone.status_code, gone.json()["detail"]) == (404, f"nobody has set a limit of {KEY}")
    record = sql_now.execute(RECORD).fetchall()
    assert [(act, why) for act, _, why, _ in record] == [
        ("limit-set", "slow"),
        ("limit-set", None),
        ("limit-clear", "fast"),
    ]
    assert {(who, *about) for _, who, _, about in record} == {(was_set["who"], f"limit:{KEY}")}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "body"),
    ({"at_most": 0}, "at_most"),
    ({"at_most": -1}, "at_most"),
    ({"at_most": 10**9}, "at_most"),
    ({"rate": {"permits": 0, "per_seconds": 1}}, "rate.permits"),
    ({"rate": {"permits": -1, "per_seconds": 1}}, "rate.permits"),
    ({"rate": {"permits": 1, "per_seconds": 0}}, "rate.per_seconds"),
    ({"rate": {"permits": 1, "per_seconds": 366 * 86400}}, "rate.per_seconds"),
    ({"rate": {"permits": 1, "per_seconds": 1e-9}}, "rate"),
    ({"rate": {"permits": 1_000_000, "per_seconds": 1}}, "rate"),
    ({"rate": {"permits": 1, "per_seconds": 1, "burst": 0}}, "rate.burst"),
    ({"rate": {"permits": 1, "per_seconds": 1, "burst": 10**9}}, "rate.burst"),
]


def test_what_cannot_be_is_refused(client: httpx2.Client, client_with: MakeClient) -> None:
    for body, field in REFUSED:
        answer = client.put("/v1/limits/a", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    for key in ("a%00b", "a%C2%85b", "x" * 201):
        assert client.put(f"/v1/limits/{key}", json={"at_most": 1}).status_code == 422
    reader = client_with(Scope.READ, name="reader")
    assert reader.put("/v1/limits/a", json={"at_most": 1}).status_code == 403
    assert reader.delete("/v1/limits/a").status_code == 403

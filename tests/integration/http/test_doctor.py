"""`/readyz?full`: the findings of `duly doctor`, for those who may operate."""

import httpx2
import psycopg
import pytest

from outbox.doctor.catalog import CHECKS
from outbox.operations.api_keys import Scope
from service.subjects import KINDS
from tests.integration.http.conftest import MakeClient


@pytest.mark.parametrize("query", ["?full", "?full=", "?full=true"])
def test_it_answers_503_with_the_error_that_it_finds(client_with: MakeClient, query: str) -> None:
    answer = client_with(Scope.OPERATE).get(f"/readyz{query}")
    found = {each["check"]: each for each in answer.json()["findings"]}
    assert {each.name for each in CHECKS} <= found.keys()
    assert found["workers"]["level"] == "error"
    assert found["actors"]["level"] == found["rabbitmq-rights"]["level"] == "skipped"
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.headers["Retry-After"]


def test_it_answers_200_without_an_error(
    client_with: MakeClient, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(
        "INSERT INTO duly.workers (name, queues, threads, heartbeat_at)"
        " VALUES ('w', to_jsonb(%s::text[]), 1, now() + interval '1 h')",
        [KINDS.queues],
    )
    answer = client_with(Scope.OPERATE).get("/readyz?full")
    wrong = [each for each in answer.json()["findings"] if each["level"] == "error"]
    assert (wrong, answer.status_code, answer.json()["status"]) == ([], 200, "ready")


def test_it_needs_the_scope_and_without_full_no_key(client_with: MakeClient, address: str) -> None:
    assert httpx2.get(f"{address}/readyz?full").status_code == 401
    assert client_with(Scope.READ).get("/readyz?full").status_code == 403
    assert client_with(Scope.READ).get("/readyz?full=no").status_code == 422
    assert "findings" not in httpx2.get(f"{address}/readyz").json()

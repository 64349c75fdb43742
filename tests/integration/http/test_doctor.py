"""`/readyz?full`: the findings of `duly doctor`, for those who may operate."""

import asyncio
from itertools import count
from threading import Event

import httpx2
import psycopg
import pytest

from dev.ports import free_port
from outbox import Kinds
from outbox.doctor import Check, Found, Setup, ok
from outbox.doctor.catalog import CHECKS
from outbox.http.doctor import Doctor
from outbox.operations.api_keys import Scope
from outbox.settings import Settings
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


def test_those_who_ask_at_once_share_an_examination_that_begins_after_they_asked() -> None:
    numbers, has_begun = count(1), Event()

    def look(_: Setup) -> Found:
        has_begun.set()
        return ok(str(next(numbers)))

    away = {"DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/d"}
    setup = Setup(Kinds(), Settings.model_validate(away), checks=[Check("own", "", look)])

    async def ask() -> list[str]:
        doctor = Doctor(setup)
        first = asyncio.create_task(doctor.findings())
        await asyncio.to_thread(has_begun.wait, 30)
        later = await asyncio.gather(*(doctor.findings() for _ in range(100)))
        return [findings[-1].found for findings in (await first, *later)]

    assert asyncio.run(ask()) == ["1", *["2"] * 100]


def test_it_needs_the_scope_and_without_full_no_key(client_with: MakeClient, address: str) -> None:
    assert httpx2.get(f"{address}/readyz?full").status_code == 401
    assert client_with(Scope.READ).get("/readyz?full").status_code == 403
    assert client_with(Scope.READ).get("/readyz?full=no").status_code == 422
    assert "findings" not in httpx2.get(f"{address}/readyz").json()

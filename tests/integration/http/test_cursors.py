"""Paging: every row once, in order, whatever the size of a page."""

import time
from base64 import urlsafe_b64encode
from typing import Any

import httpx2
import pytest

from outbox.http.routes.cursors import LIFETIME_SECONDS
from service.subjects import NEW_JOBS

MAIL: Any = NEW_JOBS["a mail"]["value"]
LISTS = ["/v1/jobs", "/v1/invoices", "/v1/webhook-endpoints", "/v1/dead-letters"]


def test_pages_of_any_size_hold_every_job_once_in_order(client: httpx2.Client) -> None:
    made = [client.post("/v1/jobs", json=MAIL).json()["id"] for _ in range(7)]

    for limit in range(1, 9):
        assert _all_pages(client, limit) == made[::-1]


def test_jobs_submitted_meanwhile_do_not_move_the_pages(client: httpx2.Client) -> None:
    made = [client.post("/v1/jobs", json=MAIL).json()["id"] for _ in range(4)]
    page = client.get("/v1/jobs?limit=2").json()

    client.post("/v1/jobs", json=MAIL)
    rest = client.get("/v1/jobs", params={"cursor": page["next_cursor"]}).json()

    assert [job["id"] for job in page["jobs"] + rest["jobs"]] == made[::-1]


def _cursor(**position: object) -> str:
    text = str({"version": 1, "of": "jobs", **position}).replace("'", '"')
    return urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ж",
        "%00",
        "x" * 400,
        _cursor(last="no uuid", made_at=int(time.time())),
        _cursor(last=str(10**30), made_at=int(time.time())),
        _cursor(version=2, last="0" * 32, made_at=int(time.time())),
        _cursor(of="apples", last="0" * 32, made_at=int(time.time())),
        _cursor(last="0" * 32, made_at=int(time.time()) - LIFETIME_SECONDS - 1),
    ],
    ids=[
        *("empty", "short", "not ASCII", "NUL", "long"),
        *("no uuid", "a number", "another version", "another list", "expired"),
    ],
)
@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_that_is_malformed_foreign_or_expired_is_refused(
    lasting_client: httpx2.Client, path: str, cursor: str
) -> None:
    answer = lasting_client.get(path, params={"cursor": cursor})

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/cursor")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "9" * 5000])
def test_a_limit_out_of_bounds_is_refused(lasting_client: httpx2.Client, limit: str) -> None:
    answer = lasting_client.get("/v1/jobs", params={"limit": limit})

    assert [error["field"] for error in answer.json()["errors"]] == ["limit"]


def _all_pages(client: httpx2.Client, limit: int) -> list[str]:
    found, cursor = [], ""
    while cursor is not None:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/jobs", params=query).json()
        found += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    return found

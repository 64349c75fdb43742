"""The API killed at each moment of a request; the client asks again, with the same key."""

from typing import Any
from uuid import UUID

import httpx2
import psycopg

from service.invoices.kinds import RENDER_INVOICE
from tests.faults import moments
from tests.faults.actors import BOOK, DOOMED
from tests.faults.clients import Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.service.line import INVOICE
from tests.support.wait import wait_for


@points(moments.API, "committed but not answered")
def test_as_it_takes_work(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    invoice = post_across_a_crash(moment, line, "/v1/invoices", INVOICE | {"customer": "Ada"})
    clients.told("Ada", RENDER_INVOICE.name, UUID(invoice["jobs"][0]["id"]))
    line.start("relay", "worker")
    promises.assert_kept()
    assert promises.rows("SELECT id::text FROM invoices") == [invoice["id"]]


@points(moments.PEOPLE)
def test_as_it_replays(
    moment: Moment,
    line: Line,
    clients: Clients,
    promises: Promises,
    sql_now: psycopg.Connection,
) -> None:
    (doomed,) = clients.submit(DOOMED)
    line.start("relay", "worker")
    promises.assert_kept()
    sql_now.execute("INSERT INTO mended DEFAULT VALUES")
    (letter,) = promises.rows("SELECT id FROM duly.dead_letters")
    post_across_a_crash(moment, line, f"/v1/dead-letters/{letter}/replay", {"why": "mended"})
    doomed.end = "succeeded"
    promises.assert_kept()
    assert promises.rows("SELECT resolution, close_reason FROM duly.dead_letters") == [
        ("replayed", "mended")
    ]


@points(moments.PEOPLE)
def test_as_it_discards(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    clients.submit(DOOMED)
    line.start("relay", "worker")
    promises.assert_kept()
    (letter,) = promises.rows("SELECT id FROM duly.dead_letters")
    post_across_a_crash(moment, line, f"/v1/dead-letters/{letter}/discard", {"why": "too late"})
    promises.assert_kept()
    assert promises.rows("SELECT resolution, close_reason FROM duly.dead_letters") == [
        ("discarded", "too late")
    ]


@points(moments.PEOPLE)
def test_as_it_cancels(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    (cancelled,) = clients.submit(BOOK)
    post_across_a_crash(moment, line, f"/v1/jobs/{cancelled.job}/cancel", None)
    cancelled.end = "cancelled"
    line.start("relay", "worker")
    promises.assert_kept()


def post_across_a_crash(moment: Moment, line: Line, path: str, body: Any) -> Any:
    """What the client is told in the end; where it was told something before, it was the same."""
    (api,) = line.start("api")
    api.kill()
    doomed = line.start_doomed(moment, "api")
    wait_for("the API answers", line.answers)
    first = answer(line, path, body)
    assert has_crashed(doomed)
    api.start()
    wait_for("the API answers", line.answers)
    second = answer(line, path, body)
    assert first in (None, second)
    return second


def answer(line: Line, path: str, body: Any) -> Any:
    """The answer to a POST with a key that is the same each time, or None where it was cut off."""
    try:
        response = line.http.post(path, json=body, headers={"Idempotency-Key": "the-same"})
    except httpx2.TransportError:
        return None
    return response.raise_for_status().json()

"""Importing charges over HTTP: the upload, the run, what was bad, cancel."""

import asyncio
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from socket import socket
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.orm import Session
from starlette.requests import Request

from actors import ACTORS
from dev.servers import Servers
from outbox import submit
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.address import sqlalchemy_url
from outbox.testing import drain
from service.imports import receiving
from service.imports.kinds import SWEEP_IMPORTS
from service.settings import settings as process_settings
from tests.integration.http.raw import connect, head, status
from tests.support.servers.databases import new_database
from tests.support.service.serving import serve, settings_for
from tests.support.wait import wait_for

LARGEST = 3_000_000
PART = 200_000
HEADER = "Customer;E-Mail;Description;Qty;Unit price;Currency;Date;Ref\r\n"
ROW = "Ada;ada@example.com;Tea;2;19,90;EUR;2026-01-31;r1\r\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A served API with its database; the tests' process is the worker."""

    client: httpx2.Client
    engine: Engine

    def begin(self, **fields: Any) -> str:
        """Begin an import; its path."""
        made = self.client.post("/v1/imports", json={"file": "charges.csv", **fields})
        assert made.status_code == 201, made.text
        return made.headers["location"]

    def show(self, path: str) -> dict[str, Any]:
        """The import."""
        found: dict[str, Any] = self.client.get(path).raise_for_status().json()
        return found

    def upload(self, content: bytes, **fields: Any) -> str:
        """Begin an import and send all of it; its path."""
        path = self.begin(**fields)
        self.client.put(f"{path}/content", content=content).raise_for_status()
        return path

    def run(self, content: bytes, **options: Any) -> dict[str, Any]:
        """Import the content; how it ended."""
        path = self.upload(content, options=options)
        drain(ACTORS, self.engine)
        return self.show(path)

    def query(self, statement: str, **values: Any) -> list[Any]:
        """Rows of the database."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]


@pytest.fixture(scope="module")
def place(
    servers: Servers, template: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """One for all tests of this module: each has imports of its own."""
    folder = tmp_path_factory.mktemp("documents")
    source = sqlalchemy_url(template).database or ""
    with new_database(servers.database_url, source) as url, pytest.MonkeyPatch.context() as patch:
        own = settings_for(url, amqp_url, folder).model_copy(update={"largest_import": LARGEST})
        patch.setenv("DATABASE_URL", url)
        patch.setenv("AMQP_URL", "amqp://127.0.0.1:1")
        patch.setenv("DULY_DOCUMENTS_URL", own.documents_url)
        patch.setattr(receiving, "PART", PART)
        process_settings.cache_clear()
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with Session(engine) as session, session.begin():
            key = api_keys.create(session, "test", [Scope.ADMIN], by="ops")
        headers = {"Authorization": f"Bearer {key}"}
        with (
            serve(own) as address,
            httpx2.Client(base_url=address, headers=headers, timeout=30) as client,
        ):
            yield Place(client, engine)
    process_settings.cache_clear()


def table(count: int) -> bytes:
    """A file with so many rows, over several parts."""
    return (HEADER + ROW * count).encode()


def offset(place: Place, path: str) -> int:
    """Where the upload goes on."""
    told = place.client.head(f"{path}/content")
    assert (told.status_code, told.headers["tus-resumable"]) == (200, "1.0.0")
    return int(told.headers["upload-offset"])


def patch(place: Place, path: str, content: Any, at: int, **headers: str) -> httpx2.Response:
    """Send a part."""
    told = {"Upload-Offset": str(at), "Tus-Resumable": "1.0.0", **headers}
    return place.client.patch(f"{path}/content", content=content, headers=told)


def test_a_file_becomes_charges(place: Place) -> None:
    done = place.run(table(12_000))
    assert (done["state"], done["rows"], done["good"], done["bad"]) == (
        *("finished", 12_000, 12_000),
        0,
    )
    assert done["found"] == {
        "format": "csv",
        "encoding": "utf-8",
        "separator": ";",
        "decimal": "comma",
    }
    assert done["progress"] == 1
    charges = (
        "SELECT count(*), min(line), max(line), sum(quantity * unit_price) FROM charges"
        " WHERE import_id = :id"
    )
    assert [*map(int, place.query(charges, id=done["id"])[0])] == [12_000, 2, 12_001, 477_600]
    assert place.client.get(f"{done['links']['self']}/bad-rows").status_code == 404


def test_bad_rows_are_in_a_file_that_a_spreadsheet_may_open(place: Place) -> None:
    bad = 'Ada;=cmd|" /C calc"!A0;Tea;0;1.234.5;EUR;2026-01-31;\r\nAda;ada@example.com\r\n'
    done = place.run((HEADER + ROW + bad + ROW).encode())
    assert (done["state"], done["rows"], done["good"], done["bad"]) == ("finished", 4, 2, 2)
    sent = place.client.get(done["links"]["bad_rows"])
    assert sent.headers["content-type"].startswith("text/csv")
    lines = [*csv.reader(io.StringIO(sent.content.decode("utf-8-sig")))]
    assert [line[:2] for line in lines] == [
        *(["line", "field"], ["3", "email"], ["3", "quantity"], ["3", "unit_price"]),
        ["4", ""],
    ]
    assert lines[1][3].startswith("'=")
    assert lines[4][2] == "has 2 fields, and the header has 8"


def test_a_file_without_the_columns_is_refused_with_all_that_is_wrong(place: Place) -> None:
    done = place.run(b"customer,mail,mail,colour\nAda,a@example.com,a@example.com,red\n")
    assert (done["state"], done["rows"]) == ("refused", 0)
    assert done["reason"] == (
        "its columns are not those of charges: missing description, quantity, unit_price,"
        " currency, date; unknown colour; twice email"
    )


def test_an_upload_goes_on_where_it_broke_off(place: Place) -> None:
    content = table(12_000)
    path = place.begin(size=len(content))
    request = head(
        f"PATCH {path}/content",
        f"Authorization: {place.client.headers['authorization']}",
        *("Upload-Offset: 0", f"Content-Length: {len(content)}"),
    )
    with connect(place.client) as connection:
        connection.sendall(request + content[: PART + 10_000])
        wait_for("a part", lambda: offset(place, path))
    wait_for("the rest of what was sent", lambda: offset(place, path) == PART + 10_000)

    refused = patch(place, path, content, 0)
    taken = patch(place, path, content[PART + 10_000 :], PART + 10_000)

    assert (refused.status_code, taken.status_code) == (409, 204)
    assert int(taken.headers["upload-offset"]) == len(content)
    assert place.show(path)["state"] == "running"
    drain(ACTORS, place.engine)
    assert place.show(path)["good"] == 12_000
    assert patch(place, path, b"more", len(content)).status_code == 409


def test_a_file_of_unknown_size_ends_when_the_client_says_so(place: Place) -> None:
    path = place.begin()
    assert place.client.head(f"{path}/content").headers["upload-defer-length"] == "1"
    content = table(10)
    patch(place, path, iter([content[:100]]), 0)
    patch(place, path, iter([content[100:]]), 100)
    assert place.show(path)["state"] == "uploading"
    length = {"Upload-Length": str(len(content))}
    assert patch(place, path, b"", len(content), **length).status_code == 204
    drain(ACTORS, place.engine)
    assert place.show(path)["good"] == 10


def test_a_put_begins_anew(place: Place) -> None:
    path = place.begin()
    patch(place, path, b"something else", 0)
    put = place.client.put(f"{path}/content", content=iter([table(1), ROW.encode()]))
    assert (put.status_code, put.json()["state"]) == (200, "running")
    drain(ACTORS, place.engine)
    assert place.show(path)["good"] == 2


def test_an_upload_that_was_begun_anew_takes_nothing_of_the_earlier_one(place: Place) -> None:
    path = place.begin(size=3 * PART)

    def slowly() -> Iterator[bytes]:
        yield b"a" * PART
        wait_for("the first part", lambda: offset(place, path) == PART)
        place.client.put(f"{path}/content", content=iter([b"b" * PART]))
        yield b"a" * PART

    assert place.client.put(f"{path}/content", content=slowly()).status_code == 409
    assert offset(place, path) == PART


def test_a_put_that_another_has_followed_does_not_run_half_of_that(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.begin()
    receive = receiving._receive
    followers: list[socket] = []

    def follow() -> None:
        chunk = b"%x\r\n%s\r\n" % (PART, b"b" * PART)
        request = head(
            f"PUT {path}/content",
            f"Authorization: {place.client.headers['authorization']}",
            "Transfer-Encoding: chunked",
        )
        followers.append(connect(place.client))
        followers[0].sendall(request + chunk)
        wait_for("the first part of the other file", lambda: offset(place, path) == PART)

    async def receive_and_be_followed(request: Request, import_id: UUID) -> int:
        begun = await receive(request, import_id)
        if not followers:
            await asyncio.to_thread(follow)
        return begun

    monkeypatch.setattr(receiving, "_receive", receive_and_be_followed)
    try:
        assert place.client.put(f"{path}/content", content=iter([table(1)])).status_code == 409
        assert place.show(path)["state"] == "uploading"
    finally:
        for each in followers:
            each.close()


def test_a_put_of_less_than_announced_does_not_run(place: Place) -> None:
    content = table(3)
    path = place.begin(size=len(content))
    assert place.client.put(f"{path}/content", content=content[:-9]).status_code == 409
    assert patch(place, path, content[-9:], len(content) - 9).status_code == 204
    assert place.show(path)["state"] == "running"
    drain(ACTORS, place.engine)


def test_what_is_too_large_is_refused_early(place: Place) -> None:
    assert (
        place.client.post("/v1/imports", json={"file": "a", "size": LARGEST + 1}).status_code == 413
    )
    path = place.begin()
    request = head(
        f"PUT {path}/content",
        f"Authorization: {place.client.headers['authorization']}",
        f"Content-Length: {LARGEST + 1}",
    )
    with connect(place.client) as connection:
        connection.sendall(request)
        assert status(connection) == 413
    streamed = place.client.put(f"{path}/content", content=iter([b" " * PART] * 16))
    assert streamed.status_code == 413
    assert offset(place, path) <= LARGEST
    announced = place.begin(size=10)
    assert place.client.put(f"{announced}/content", content=b"12345678901").status_code == 413


def test_an_upload_and_a_run_are_cancelled(place: Place) -> None:
    uploading, running = place.begin(), place.upload(table(3))
    for path in (uploading, running):
        assert place.client.post(f"{path}/cancel", json={"why": "wrong file"}).status_code == 200
    drain(ACTORS, place.engine)
    assert [place.show(path)["state"] for path in (uploading, running)] == ["cancelled"] * 2
    assert place.client.post(f"{running}/cancel").status_code == 409
    assert place.client.put(f"{uploading}/content", content=b"a").status_code == 409


def test_what_is_not_there_is_not_found(place: Place) -> None:
    path = f"/v1/imports/{uuid4()}"
    assert place.client.get(path).status_code == 404
    assert place.client.get(f"{path}/bad-rows").status_code == 404
    assert place.client.post(f"{path}/cancel").status_code == 404
    assert patch(place, path, b"a", 0).status_code == 404
    assert place.client.put("/v1/imports/none/content", content=b"a").status_code == 422
    found = place.begin()
    assert place.client.get(f"{found}/bad-rows").headers["retry-after"] == "5"
    assert place.client.patch(f"{found}/content", content=b"a").status_code == 400
    assert found in [
        each["links"]["self"] for each in place.client.get("/v1/imports").json()["imports"]
    ]


def test_an_upload_that_nobody_continues_is_given_up_and_its_parts_are_deleted(
    place: Place,
) -> None:
    path = place.begin()
    patch(place, path, os.urandom(1000), 0)
    with Session(place.engine) as session, session.begin():
        session.execute(text("UPDATE imports SET expires_at = now() WHERE state = 'uploading'"))
        submit(session, SWEEP_IMPORTS())
    drain(ACTORS, place.engine)
    assert place.show(path)["state"] == "expired"
    used = "SELECT count(*) FROM file_uses WHERE used_by = :user"
    assert place.query(used, user=f"import:{path.rpartition('/')[2]}") == [(0,)]

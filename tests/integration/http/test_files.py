"""Files over HTTP: streamed in and out, with a lifetime and what needs them."""

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import submit
from outbox.operations.api_keys import Scope
from service.documents import PART
from service.files.keeping import use
from service.images.kinds import PROCESS_IMAGE
from service.settings import Settings
from tests.integration.http.conftest import MakeClient
from tests.integration.http.raw import connect, head, status
from tests.support.wait import wait_for

LARGE = os.urandom(100_000) * 130
"""Several parts, and over `Settings.largest_body`."""
IN_TRANSACTION = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
CSV = {"Content-Type": "text/csv; charset=utf-8"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"largest_file": len(LARGE)})


def upload(client: httpx2.Client, content: Any = b"a,b\n1,2\n", **options: Any) -> Any:
    return client.post("/v1/files", content=content, headers=CSV, **options)


def test_a_large_file_is_streamed_in_and_out(client: httpx2.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield from (LARGE[at : at + 70_001] for at in range(0, len(LARGE), 70_001))

    made = upload(client, parts())

    assert (made.status_code, made.headers["location"]) == (201, made.json()["links"]["self"])
    file = client.get(made.headers["location"]).json()
    assert file == made.json()
    assert (file["size"], file["media_type"]) == (len(LARGE), "text/csv")
    assert file["sha256"] == hashlib.sha256(LARGE).hexdigest()
    got = client.get(file["links"]["content"])
    assert got.content == LARGE
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == f'attachment; filename="{file["id"]}.csv"'
    assert "sandbox" in got.headers["content-security-policy"]


def test_a_file_is_kept_as_long_as_it_says(client: httpx2.Client) -> None:
    def kept(**query: int) -> timedelta:
        file = upload(client, params=query).json()
        end, start = (datetime.fromisoformat(file[name]) for name in ("expires_at", "created_at"))
        return end - start

    assert timedelta(0) <= kept() - timedelta(days=7) < timedelta(minutes=1)
    assert timedelta(0) <= kept(keep_seconds=60) - timedelta(seconds=60) < timedelta(minutes=1)
    assert upload(client, params={"keep_seconds": 59}).status_code == 422


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, None),
        ("bytes=-3", -3, None),
        ("bytes=4-99999999999", 4, None),
        (f"bytes={PART - 1}-{PART + 1}", PART - 1, PART + 2),
    ],
)
def test_a_range_is_answered(
    client: httpx2.Client, asked: str, start: int, stop: int | None
) -> None:
    content = upload(client, LARGE[: 2 * PART]).json()["links"]["content"]
    got = client.get(content, headers={"Range": asked})
    wanted = LARGE[: 2 * PART][start:stop]
    assert (got.status_code, got.content) == (206, wanted)
    first = start % (2 * PART)
    assert got.headers["content-range"] == f"bytes {first}-{first + len(wanted) - 1}/{2 * PART}"


def test_a_range_that_is_none_gets_the_whole_and_one_outside_an_error(
    client: httpx2.Client,
) -> None:
    content = upload(client, b"0123456789").json()["links"]["content"]
    tag = client.get(content).headers["etag"]
    for header in ("bytes=5-3", "bytes=0-1,4-5", "lines=1-2", "bytes=-"):
        assert client.get(content, headers={"Range": header}).content == b"0123456789"
    outside = client.get(content, headers={"Range": "bytes=10-"})
    assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */10")
    for given, answer in ((tag, b"0"), ('"another"', b"0123456789")):
        headers = {"Range": "bytes=0-0", "If-Range": given}
        assert client.get(content, headers=headers).content == answer


def test_a_file_that_is_too_large_is_refused_early(client: httpx2.Client) -> None:
    assert upload(client, LARGE).status_code == 201
    with connect(client) as connection:
        length = f"Content-Length: {len(LARGE) + 1}"
        connection.sendall(
            head("POST /v1/files", f"Authorization: {client.headers['authorization']}", length)
        )
        assert status(connection) == 413

    def too_much() -> Iterator[bytes]:
        yield LARGE
        yield b"x"

    refused = upload(client, too_much())
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
    assert refused.json()["detail"] == f"a body may have up to {len(LARGE)} bytes"


def test_nothing_is_read_of_who_may_not_upload(client_with: MakeClient, tmp_path: Path) -> None:
    refused = upload(client_with(Scope.READ))
    assert (refused.status_code, [*tmp_path.rglob("files/*")]) == (403, [])


@pytest.mark.parametrize("media_type", ["csv", "text/", "text/<b>", "a/" + "b" * 200])
def test_a_media_type_that_is_none_is_refused(client: httpx2.Client, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    refused = client.post("/v1/files", content=b"x", headers=headers)
    assert refused.json()["errors"][0]["field"] == "Content-Type"


def test_a_repeated_upload_with_a_key_is_one_file(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    key = {"Idempotency-Key": "one", **CSV}
    first, again = (client.post("/v1/files", content=b"same", headers=key) for _ in range(2))
    other = client.post("/v1/files", content=b"other", headers=key)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    states = sql_now.execute("SELECT state FROM files ORDER BY state").fetchall()
    assert states == [("stored",), ("storing",), ("storing",)]


def test_a_client_that_goes_away_leaves_no_file(
    client: httpx2.Client, sql_now: psycopg.Connection, tmp_path: Path
) -> None:
    with connect(client) as connection:
        authorized = f"Authorization: {client.headers['authorization']}"
        connection.sendall(head("POST /v1/files", authorized, "Content-Length: 1000000"))
        connection.sendall(b"x" * 1000)
        reserved = "SELECT state FROM files"
        wait_for("the reservation", lambda: sql_now.execute(reserved).fetchone())
        assert sql_now.execute(IN_TRANSACTION).fetchall() == []
    upload(client).raise_for_status()
    states = sql_now.execute("SELECT state FROM files ORDER BY id").fetchall()
    assert states == [("storing",), ("stored",)]
    wait_for("one document", lambda: len([*tmp_path.rglob("files/*")]) == 1)


def test_a_file_that_is_needed_is_not_deleted(client: httpx2.Client, session: Session) -> None:
    free, used, referred = (upload(client).json() for _ in range(3))
    use(session, used["id"], "report:1")
    submit(session, PROCESS_IMAGE(image_id=uuid4(), file_id=referred["id"]))
    session.commit()
    answers = [client.delete(each["links"]["self"]) for each in (free, used, referred)]
    assert [each.status_code for each in answers] == [204, 409, 409]
    assert client.get(free["links"]["self"]).status_code == 404
    assert client.get(free["links"]["content"]).status_code == 404
    assert client.delete(free["links"]["self"]).status_code == 404
    sweeps = client.get("/v1/jobs", params={"kind": "files.sweep"}).json()["jobs"]
    assert len(sweeps) == 1


def test_a_payload_over_the_limit_is_refused_with_where_to_put_it(
    client: httpx2.Client, settings: Settings
) -> None:
    mail = {"to": "ada@example.com", "subject": "x", "text": "x" * settings.largest_body}
    refused = client.post("/v1/jobs", json={"kind": "email.send", "payload": mail})
    assert refused.status_code == 413
    assert "keep large data in a document store" in refused.json()["detail"]

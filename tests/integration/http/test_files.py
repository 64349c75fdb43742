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
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.documents.store import PART
from service.files.keeping import use
from service.images.kinds import PROCESS_IMAGE
from service.settings import Settings
from tests.integration.http.conftest import MakeClient
from tests.integration.http.raw import connect, head, status
from tests.support.service.serving import serve
from tests.support.wait import wait_for

LARGE = os.urandom(100_000) * 130
"""Several parts, and over `Settings.largest_body`."""
PIECE = LARGE[: 2 * PART]
IN_TRANSACTION = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""
LIMITS = {"largest_file": 10_000, "largest_body": 2_000_000}
CSV = {"Content-Type": "text/csv; charset=utf-8"}


def upload(client: httpx2.Client, content: Any = b"a,b\n1,2\n", **options: Any) -> Any:
    return client.post("/v1/files", content=content, headers=CSV, **options)


def test_a_large_file_is_streamed_in_and_out(lasting_client: httpx2.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield from (LARGE[at : at + 70_001] for at in range(0, len(LARGE), 70_001))

    made = upload(lasting_client, parts())

    assert (made.status_code, made.headers["location"]) == (201, made.json()["links"]["self"])
    file = lasting_client.get(made.headers["location"]).json()
    assert file == made.json()
    assert (file["size"], file["media_type"]) == (len(LARGE), "text/csv")
    assert file["sha256"] == hashlib.sha256(LARGE).hexdigest()
    got = lasting_client.get(file["links"]["content"])
    assert got.content == LARGE
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == f'attachment; filename="{file["id"]}.csv"'
    assert "sandbox" in got.headers["content-security-policy"]


def test_a_file_is_kept_as_long_as_it_says(lasting_client: httpx2.Client) -> None:
    def kept(**query: int) -> timedelta:
        file = upload(lasting_client, params=query).json()
        end, start = (datetime.fromisoformat(file[name]) for name in ("expires_at", "created_at"))
        return end - start

    assert timedelta(0) <= kept() - timedelta(days=7) < timedelta(minutes=1)
    assert timedelta(0) <= kept(keep_seconds=60) - timedelta(seconds=60) < timedelta(minutes=1)
    assert upload(lasting_client, params={"keep_seconds": 59}).status_code == 422


def test_ranges(lasting_client: httpx2.Client) -> None:
    size = len(PIECE)
    content = upload(lasting_client, PIECE).json()["links"]["content"]
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, size),
        ("bytes=-3", size - 3, size),
        ("bytes=-99999999999", 0, size),
        ("bytes=4-99999999999", 4, size),
        (f"bytes={PART - 1}-{PART + 1}", PART - 1, PART + 2),
    ):
        got = lasting_client.get(content, headers={"Range": asked})
        assert (got.status_code, got.content) == (206, PIECE[start:stop])
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"


def test_a_range_that_is_none_gets_the_whole_and_one_outside_an_error(
    lasting_client: httpx2.Client,
) -> None:
    client = lasting_client
    content = upload(client, b"0123456789").json()["links"]["content"]
    tag = client.get(content).headers["etag"]
    for header in ("bytes=5-3", "bytes=0-1,4-5", "lines=1-2", "bytes=-"):
        assert client.get(content, headers={"Range": header}).content == b"0123456789"
    for header in ("bytes=10-", "bytes=-0"):
        outside = client.get(content, headers={"Range": header})
        assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */10")
    for given, answer in ((tag, b"0"), ('"another"', b"0123456789")):
        headers = {"Range": "bytes=0-0", "If-Range": given}
        assert client.get(content, headers=headers).content == answer


@pytest.fixture
def small(settings: Settings, session: Session) -> Iterator[httpx2.Client]:
    """A client of a server that takes files of up to 10,000 bytes, and other bodies of 2 MB."""
    key = api_keys.create(session, "test", list(Scope), by="ops")
    session.commit()
    authorized = {"Authorization": f"Bearer {key}"}
    with (
        serve(settings.model_copy(update=LIMITS)) as address,
        httpx2.Client(base_url=address, headers=authorized, timeout=30) as client,
    ):
        yield client


def test_a_file_that_is_too_large_is_refused_early(small: httpx2.Client) -> None:
    assert upload(small, bytes(10_000)).status_code == 201
    with connect(small) as connection:
        authorized = f"Authorization: {small.headers['authorization']}"
        connection.sendall(head("POST /v1/files", authorized, "Content-Length: 10001"))
        assert status(connection) == 413

    def too_much() -> Iterator[bytes]:
        yield bytes(10_000)
        yield b"x"

    refused = upload(small, too_much())
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
    assert refused.json()["detail"] == "a body may have up to 10000 bytes"


def test_a_payload_has_a_limit_of_its_own(small: httpx2.Client) -> None:
    payload = {"endpoint_id": str(uuid4()), "event": "a.b", "data": {"x": "x" * 1_000_000}}
    refused = small.post("/v1/jobs", json={"kind": "webhook.deliver", "payload": payload})
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
    assert "docs/patterns/large-data.md" in refused.json()["detail"]


def test_nothing_is_read_of_who_may_not_upload(client_with: MakeClient, tmp_path: Path) -> None:
    refused = upload(client_with(Scope.READ))
    assert (refused.status_code, [*tmp_path.rglob("files/*")]) == (403, [])


def test_a_media_type_that_is_none_is_refused(lasting_client: httpx2.Client) -> None:
    for media_type in ("csv", "text/", "text/<b>", "a/" + "b" * 200):
        headers = {"Content-Type": media_type}
        refused = lasting_client.post("/v1/files", content=b"x", headers=headers)
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


def test_a_body_over_the_limit_is_refused_with_where_to_put_it(
    lasting_client: httpx2.Client,
) -> None:
    mail = {"to": "ada@example.com", "subject": "x", "text": "x" * 100_000}
    refused = lasting_client.post("/v1/jobs", json={"kind": "email.send", "payload": mail})
    assert refused.status_code == 413
    assert "keep large data in a document store" in refused.json()["detail"]

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread
from uuid import uuid4

import httpx2
import pytest

from service.documents.encryption import DocumentDamaged
from service.documents.keys import Key
from service.documents.store import BadDocumentName, DocumentMissing, Documents
from tests.integration.s3 import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


KEYS = (Key("2026", b"k" * 32), Key("2025", b"o" * 32))


@pytest.fixture(params=["folder", "s3", "encrypted folder"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Documents:
    """A store of each sort."""
    if request.param != "s3":
        keys = KEYS if request.param == "encrypted folder" else ()
        return Documents((tmp_path / "made if missing").as_uri(), keys)
    address = request.getfixturevalue("s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    bucket = f"bucket-{uuid4().hex[:8]}"
    httpx2.put(f"{address}/{bucket}").raise_for_status()
    return Documents(f"s3://{bucket}/some/prefix")


def test_what_was_put_is_got(store: Documents) -> None:
    content = bytes(range(256)) * 5000
    store.put("invoices/1.pdf", content)
    assert store.get("invoices/1.pdf") == content


def test_putting_again_replaces(store: Documents) -> None:
    store.put("invoices/1.pdf", b"a longer first version")
    store.put("invoices/1.pdf", b"second")
    assert store.get("invoices/1.pdf") == b"second"


def test_a_document_that_is_not_there_is_missing(store: Documents) -> None:
    with pytest.raises(DocumentMissing, match=r"invoices/2\.pdf"):
        store.get("invoices/2.pdf")


def parts(count: int) -> Iterator[bytes]:
    yield from (bytes([number]) * 1_000_000 for number in range(count))


@pytest.mark.parametrize("count", [0, 1, 12])
def test_a_document_is_written_and_read_in_parts(store: Documents, count: int) -> None:
    store.write("large.bin", parts(count))
    assert store.size("large.bin") == count * 1_000_000
    with store.open("large.bin") as file:
        assert all(file.read(1_000_000) == part for part in parts(count))
        assert file.read(1) == b""


def test_a_document_is_read_from_any_place(store: Documents) -> None:
    store.write("large.bin", parts(3))
    with store.open("large.bin") as file:
        file.seek(-1_000_001, os.SEEK_END)
        assert file.read(2) == bytes([1, 2])
        file.seek(999_999)
        assert (file.read(2), file.tell()) == (bytes([0, 1]), 1_000_001)


def test_what_breaks_off_leaves_the_old_document(store: Documents) -> None:
    def broken() -> Iterator[bytes]:
        yield from parts(6)
        raise KeyError("broken off")

    store.put("large.bin", b"old")
    with pytest.raises(KeyError, match="broken off"):
        store.write("large.bin", broken())
    assert store.get("large.bin") == b"old"


@pytest.mark.parametrize("count", [0, 1, 12])
def test_a_document_is_written_while_its_parts_arrive(store: Documents, count: int) -> None:
    async def arriving() -> AsyncIterator[bytes]:
        for part in parts(count):
            await asyncio.sleep(0)
            yield part

    asyncio.run(store.write_async("large.bin", arriving()))
    assert store.get("large.bin") == b"".join(parts(count))


def test_an_upload_that_breaks_off_leaves_the_old_document(store: Documents) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for part in parts(6):
            yield part
        raise KeyError("broken off")

    store.put("large.bin", b"old")
    with pytest.raises(KeyError, match="broken off"):
        asyncio.run(store.write_async("large.bin", broken()))
    assert store.get("large.bin") == b"old"


def test_an_encrypted_document_needs_its_key(tmp_path: Path) -> None:
    plain, new, old = (Documents(tmp_path.as_uri(), keys) for keys in ((), KEYS, KEYS[1:]))
    plain.put("plain", b"from before")
    old.put("old", b"with the old key")
    new.put("new", b"with the new key")
    assert b"with the" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert [new.get(name) for name in ("plain", "old", "new")] == [
        *(b"from before", b"with the old key", b"with the new key")
    ]
    assert [new.size(name) for name in ("plain", "old")] == [11, 16]
    for store in (old, plain):
        for read in (store.get, store.open):
            with pytest.raises(DocumentDamaged, match="there is no key '2026'"):
                read("new")


def test_a_document_that_was_cut_off_is_not_even_opened(tmp_path: Path) -> None:
    store = Documents(tmp_path.as_uri(), KEYS)
    store.write("large.bin", parts(3))
    stored = (tmp_path / "large.bin").read_bytes()
    (tmp_path / "large.bin").write_bytes(stored[: len(stored) // 2])
    with pytest.raises(DocumentDamaged):
        store.open("large.bin")


def test_a_deleted_document_is_missing(store: Documents) -> None:
    store.put("a.txt", b"a")
    store.delete("a.txt")
    store.delete("a.txt")
    for ask in (store.get, store.open, store.size):
        with pytest.raises(DocumentMissing):
            ask("a.txt")


@pytest.mark.parametrize(
    "name",
    ["", "/a", "../a", "a/../b", "a//b", "a/", ".a", "a/.", "a\\b", "a b", "é", "a\n", "a" * 501],
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    store = Documents(tmp_path.as_uri())
    with pytest.raises(BadDocumentName):
        store.put(name, b"")
    with pytest.raises(BadDocumentName):
        store.get(name)


@pytest.mark.parametrize("url", ["", "folder", "file://relative", "http://example.com/"])
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="document store"):
        Documents(url)


def test_a_reader_never_sees_half_a_document(tmp_path: Path) -> None:
    store = Documents(tmp_path.as_uri())
    versions = {bytes([n]) * 2_000_000 for n in range(2)}
    store.put("a", next(iter(versions)))

    def write() -> None:
        for _ in range(20):
            for content in versions:
                store.put("a", content)

    writer = Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(store.get("a"))
    writer.join()
    assert seen <= versions

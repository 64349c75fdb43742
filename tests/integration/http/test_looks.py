"""When somebody first looked at a dead letter: noted after the answer, once, best effort."""

import threading
from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations import dead_letters
from tests.support.servers.read_only import read_only
from tests.support.service import lives
from tests.support.wait import wait_for


@pytest.fixture
def letter(sql_now: psycopg.Connection) -> str:
    """Where a dead letter is that nobody has looked at."""
    return f"/v1/dead-letters/{lives.foreign(sql_now, b'x')}"


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> "threading.Semaphore":
    """Counts the notes that were tried, whether they failed or not."""
    tried, note = threading.Semaphore(0), dead_letters.note_look

    def tell(*about: Any) -> None:
        try:
            note(*about)
        finally:
            tried.release()

    monkeypatch.setattr(dead_letters, "note_look", tell)
    return tried


def test_the_first_look_is_shown_from_then_on_and_a_list_is_none(
    client: httpx2.Client, letter: str
) -> None:
    def listed() -> Any:
        return client.get("/v1/dead-letters").json()["dead_letters"][0]["looked_at"]

    assert (listed(), listed()) == (None, None)
    assert client.get(letter).json()["looked_at"] is None
    first = wait_for("the look to be noted", listed)
    assert client.get(letter).json()["looked_at"] == first
    assert (client.get(letter).json()["looked_at"], listed()) == (first, first)


def test_a_standby_shows_the_letter_though_it_takes_no_note(
    client: httpx2.Client, letter: str, sql_now: psycopg.Connection, writes: threading.Semaphore
) -> None:
    with read_only(sql_now):
        assert client.get(letter).status_code == 200
        assert writes.acquire(timeout=10)
        assert client.get(letter).json()["looked_at"] is None


def test_a_letter_that_somebody_acts_on_is_shown_and_the_note_waits_for_nobody(
    client: httpx2.Client, letter: str, database_url: str, writes: threading.Semaphore
) -> None:
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM duly.dead_letters FOR UPDATE")
        assert client.get(letter).status_code == 200
        assert writes.acquire(timeout=1)
    assert client.get(letter).json()["looked_at"] is None

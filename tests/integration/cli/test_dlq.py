"""`duly dlq` on a real database: what it finds, and what it needs to be told before it acts."""

import json
import os
import pty
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from tests.integration.cli.conftest import Duly
from tests.support.servers.read_only import read_only

OPEN = "SELECT count(*) FROM duly.dead_letters WHERE closed_at IS NULL"


@pytest.fixture
def letters(die: Callable[..., UUID]) -> list[UUID]:
    """Three jobs that died, with ids 1 to 3 of their dead letters; the first of another error."""
    return [die("BadAddress", "no such user"), die(), die()]


def test_list_filters_and_show_has_the_job_and_each_error(duly: Duly, letters: list[UUID]) -> None:
    (found,) = duly.json("dlq", "list", "--error", "such USER", "--since", "1h", "--queue", "email")
    assert found["job_id"] == str(letters[0])
    shown = duly.json("dlq", "show", found["id"])
    assert shown["job"]["payload"]["to"] == "[redacted]"
    assert shown["attempts"][0]["error_type"] == "BadAddress"
    assert duly.json("dlq", "list", "--since", "2100-01-01T00:00:00Z") == []


def test_show_says_when_somebody_first_looked_and_a_list_is_no_look(
    duly: Duly, letters: list[UUID]
) -> None:
    def listed() -> list[str | None]:
        return [letter["looked_at"] for letter in duly.json("dlq", "list", "--oldest-first")]

    assert listed() == [None, None, None]
    assert duly.json("dlq", "show", 2)["looked_at"] is None
    first = duly.json("dlq", "show", 2)["looked_at"]
    assert first
    assert (duly.json("dlq", "show", 2)["looked_at"], listed()) == (first, [None, first, None])


def test_a_read_only_database_shows_a_letter_and_notes_no_look(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    with read_only(sql_now):
        assert duly.json("dlq", "show", 1)["id"] == 1
    assert duly.json("dlq", "show", 1)["looked_at"] is None


def test_replay_by_id_queues_the_job_and_records_who_and_why(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    replayed = duly.json("dlq", "replay", 1, "--by", "anna", "--why", "mended")
    outcome = {"outcome": "replayed", "closed_by": "anna"}
    assert replayed == [{"id": 1, "job_id": str(letters[0])} | outcome]
    state = "SELECT state, dispatch FROM duly.jobs WHERE id = %s"
    assert sql_now.execute(state, [letters[0]]).fetchone() == ("queued", 2)
    (closed,) = duly.json("dlq", "list", "--closed")
    assert closed["resolution"] == "replayed"
    assert (closed["closed_by"], closed["close_reason"]) == ("anna", "mended")


def test_discard_by_filter_takes_only_what_matches(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    done = duly("dlq", "discard", "--error", "mailbox", "--limit", 1, "--yes")
    assert (done.returncode, done.stderr.splitlines()[1:]) == (0, ["duly: 1 of 1 discarded"])
    closed = "SELECT array_agg(id) FROM duly.dead_letters WHERE resolution = 'discarded'"
    assert sql_now.execute(closed).fetchone() == ([3],)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--yes"],
        ["--all"],
        ["--kind", "email.send"],
        ["1", "--all", "--yes"],
        ["--all", "--yes", "--since", "soon"],
    ],
    ids=["no filter", "not asked", "filter, not asked", "ids and all", "no moment"],
)
def test_an_unclear_bulk_action_is_refused(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection, arguments: list[str]
) -> None:
    assert duly("dlq", "replay", *arguments).returncode == 2
    assert sql_now.execute(OPEN).fetchone() == (3,)


def test_a_dry_run_counts_and_changes_nothing(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    preview = duly.json("dlq", "replay", "--all", "--limit", 2, "--dry-run")
    assert preview["matched"] == 2
    assert [row["id"] for row in preview["sample"]] == [3, 2]
    assert sql_now.execute(OPEN).fetchone() == (3,)


def test_what_was_missing_or_no_job_of_ours_is_said(
    duly: Duly, letters: list[UUID], foreign: int
) -> None:
    done = duly("dlq", "replay", 1, foreign, 99)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        f"duly: not replayed, no job of ours: to discard, not to replay: {foreign}",
        "duly: not replayed, there is no such letter: 99",
        "duly: 1 of 3 replayed",
    ]
    assert duly("dlq", "replay", foreign).returncode == 1
    assert duly("dlq", "replay", 1, 2, "--by", "anna").returncode == 4


@pytest.mark.parametrize("act", ["replay", "discard"])
def test_named_letters_are_reported_one_by_one_though_none_is_open(
    duly: Duly, letters: list[UUID], act: str
) -> None:
    duly("dlq", "replay", 1, "--by", "anna")
    duly("dlq", "discard", 2, "--by", "bob")
    outcomes = duly.json("dlq", act, 1, 2, 99, code=1)
    assert [(each["id"], each["outcome"], each["closed_by"]) for each in outcomes] == [
        (2, "discarded before", "bob"),
        (1, "replayed before", "anna"),
        (99, "there is no such letter", None),
    ]
    assert duly.json("dlq", act, 98, 99, code=3)[0]["outcome"] == "there is no such letter"


def test_a_dry_run_says_which_named_letters_are_not_open(duly: Duly, letters: list[UUID]) -> None:
    duly("dlq", "replay", 1, "--by", "anna")
    preview = duly("dlq", "replay", 1, 2, 99, "--dry-run", "--output", "ndjson")
    assert json.loads(preview.stdout)["matched"] == 1
    assert preview.stderr.splitlines() == [
        "duly: not replayed, replayed before by anna: 1",
        "duly: not replayed, there is no such letter: 99",
    ]
    none = duly("dlq", "replay", 1, "--dry-run")
    assert (none.returncode, none.stderr.splitlines()[0]) == (
        1,
        "duly: not replayed, replayed before by anna: 1",
    )


def test_a_letter_whose_job_has_moved_on_is_said(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    sql_now.execute("UPDATE duly.jobs SET state = 'succeeded' WHERE id = %s", [letters[0]])
    done = duly("dlq", "replay", 1, 2)
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == "duly: not replayed, its job is not dead any more: 1"


def test_letters_are_chosen_by_reason_and_time_and_the_oldest_first(
    duly: Duly, letters: list[UUID], foreign: int, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("UPDATE duly.dead_letters SET died_at = now() - interval '3h' WHERE id = 2")

    def listed(*options: str) -> list[int]:
        return [each["id"] for each in duly.json("dlq", "list", *options)]

    assert listed("--reason", "malformed") == [foreign]
    assert listed("--until", "2h") == [2]
    assert listed("--since", "4h", "--until", "1h") == [2]
    assert listed("--oldest-first") == [1, 2, 3, foreign]
    chosen = ("--reason", "exhausted", "--oldest-first", "--limit", "1", "--yes")
    (replayed,) = duly.json("dlq", "replay", *chosen)
    assert replayed["id"] == 1
    (discarded,) = duly.json("dlq", "discard", "--until", "2h", "--yes")
    assert discarded["id"] == 2


def test_a_why_where_a_reason_belongs_is_refused(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection
) -> None:
    assert duly("dlq", "replay", "--all", "--yes", "--reason", "mended").returncode == 2
    assert sql_now.execute(OPEN).fetchone() == (3,)


def test_a_message_of_somebody_else_is_shown_only_when_asked_for(duly: Duly, foreign: int) -> None:
    shown = duly.json("dlq", "show", foreign)
    assert (shown["message_body"], shown["message_headers"]) == ("[redacted]", "[redacted]")
    table = duly("dlq", "show", foreign).stdout
    assert not {"password", "hunter2"} & set(table.split())
    shown = duly.json("dlq", "show", foreign, "--payloads")
    assert shown["message_body"] == "/yBwYXNzd29yZA=="
    assert shown["message_headers"] == {"token": "hunter2"}


@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("n", 3)])
def test_on_a_terminal_it_asks(
    duly: Duly, letters: list[UUID], sql_now: psycopg.Connection, answer: str, left: int
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = duly("dlq", "discard", "--all", stdin=theirs, stderr=theirs)
    os.close(theirs)
    assert b"Discard 3 dead letters? [y/N]:" in os.read(ours, 10_000)
    os.close(ours)
    assert done.returncode == (0 if answer == "y" else 1)
    assert sql_now.execute(OPEN).fetchone() == (left,)

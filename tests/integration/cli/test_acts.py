"""Every act by command is on record, and nobody acts without a name."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from tests.integration.cli.conftest import MISSING, Duly

PAYLOAD = '{"to": "bob@example.org", "subject": "Hi", "text": "between us"}'
ANNA = ("--by", "anna", "--why", "mended")
RECORD = "SELECT act, who, why, about FROM duly.acts ORDER BY id"
WRITTEN = """
SELECT (SELECT count(*) FROM duly.jobs WHERE state = 'queued'), (SELECT count(*) FROM duly.acts),
       (SELECT count(*) FROM duly.dead_letters WHERE closed_at IS NULL),
       (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL)
"""

Row = tuple[str, str, str | None, list[str]]


def record(database: psycopg.Connection) -> list[Row]:
    """All acts, the first first."""
    return database.execute(RECORD).fetchall()


def test_replay_and_discard_are_on_record(
    duly: Duly, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    replayed, discarded = die(), die()
    duly("dlq", "replay", 1, *ANNA)
    duly("dlq", "discard", 2, "--by", "bob")
    assert record(sql_now) == [
        ("replay", "anna", "mended", ["dead-letter:1", f"job:{replayed}"]),
        ("discard", "bob", None, ["dead-letter:2", f"job:{discarded}"]),
    ]


def test_submit_and_cancel_are_on_record(duly: Duly, sql_now: psycopg.Connection) -> None:
    made = duly.json("jobs", "submit", "email.send", "--payload", PAYLOAD, *ANNA)
    duly("jobs", "cancel", made["id"], MISSING, "--by", "bob", "--why", "a double")
    about = [f"job:{made['id']}"]
    assert record(sql_now) == [
        ("submit", "anna", "mended", about),
        ("cancel", "bob", "a double", about),
    ]


def test_making_and_ending_a_key_are_on_record(duly: Duly, sql_now: psycopg.Connection) -> None:
    key = duly("keys", "create", "--name", "shop", "--scopes", "read", *ANNA).stdout
    prefix = key.split("_")[1]
    for _ in range(2):
        duly("keys", "revoke", prefix, "--by", "bob")
    assert record(sql_now) == [
        ("key-create", "anna", "mended", [f"key:{prefix}"]),
        ("key-revoke", "bob", None, [f"key:{prefix}"]),
    ]


def test_looking_at_payloads_is_on_record(
    duly: Duly, job: UUID, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    dead = die()
    for command in (["jobs", "list"], ["jobs", "show", job], ["dlq", "show", 1], ["dlq", "list"]):
        assert duly(*command).returncode == 0
    assert record(sql_now) == []
    duly("jobs", "list", "--payloads", *ANNA)
    duly("jobs", "list", "--payloads", "--kind", "invoice.render")
    duly("jobs", "show", job, "--payloads", *ANNA)
    duly("dlq", "show", 1, "--payloads", *ANNA)
    assert record(sql_now) == [
        ("look", "anna", "mended", [f"job:{dead}", f"job:{job}"]),
        ("look", "anna", "mended", [f"job:{job}"]),
        ("look", "anna", "mended", ["dead-letter:1", f"job:{dead}"]),
    ]


def test_nothing_is_shown_where_the_record_cannot_be_written(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("ALTER TABLE duly.acts ADD CONSTRAINT full_disk CHECK (act <> 'look')")
    for command in (["jobs", "list"], ["jobs", "show", job]):
        done = duly(*command, "--payloads")
        assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("who", ["", " \t"], ids=["empty", "blank"])
@pytest.mark.parametrize(
    "command",
    [
        ["dlq", "replay", "--all", "--yes"],
        ["dlq", "discard", "1"],
        ["dlq", "show", "1", "--payloads"],
        ["jobs", "cancel", "JOB"],
        ["jobs", "list", "--payloads"],
        ["jobs", "submit", "email.send", "--payload", PAYLOAD],
        ["keys", "create", "--name", "shop", "--scopes", "read"],
        ["keys", "revoke", "PREFIX"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_nobody_can_do_nothing(
    duly: Duly, command: list[str], who: str, job: UUID, die: Callable[..., UUID],
    sql_now: psycopg.Connection,
) -> None:  # fmt: skip
    die()
    before = sql_now.execute(WRITTEN).fetchone()
    done = duly(*(str(job) if word == "JOB" else word for word in command), "--by", who)
    assert (done.returncode, done.stdout) == (2, "")
    assert "must have a name" in done.stderr
    assert sql_now.execute(WRITTEN).fetchone() == before


def test_a_key_needs_a_name(duly: Duly, sql_now: psycopg.Connection) -> None:
    assert duly("keys", "create", "--name", " ", "--scopes", "read").returncode == 2
    assert record(sql_now) == []


def test_the_record_is_listed_and_shown(duly: Duly, die: Callable[..., UUID]) -> None:
    jobs = [die() for _ in range(3)]
    duly("dlq", "replay", 1, 2, *ANNA)
    duly("dlq", "discard", 3, "--by", "bob")
    assert [act["who"] for act in duly.json("acts", "list")] == ["bob", "anna"]
    (found,) = duly.json("acts", "list", "--about", "dead-letter:2", "--since", "1h")
    assert (found["act"], found["things"]) == ("replay", 4)
    assert duly.json("acts", "show", found["id"])["about"][-1] == f"job:{jobs[1]}"
    table = duly("acts", "list", "--who", "anna", "--act", "replay")
    assert "dead-letter:1 and 3 more" in table.stdout
    assert duly.json("acts", "list", "--until", "1h") == []
    assert duly("acts", "show", 99).returncode == 3


def test_a_list_that_goes_on_says_how(duly: Duly, die: Callable[..., UUID]) -> None:
    for letter in (1, 2, 3):
        die()
        duly("dlq", "discard", letter)
    first = duly("acts", "list", "--limit", 2)
    assert first.stderr == "duly: there are more: go on with --after 2\n"
    assert [act["id"] for act in duly.json("acts", "list", "--after", 2)] == [1]

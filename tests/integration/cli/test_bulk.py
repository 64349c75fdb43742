"""A bulk action over several chunks: interrupted, cut off from Postgres, or met by another."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from outbox.store import transitions
from tests.integration.cli.conftest import Duly
from tests.support.engine.by_hand import WAITING
from tests.support.wait import wait_for

MANY = """
INSERT INTO duly.dead_letters (job_id, dispatch, queue, reason)
SELECT gen_random_uuid(), 1, 'email', 'exhausted' FROM generate_series(1, 1200)
"""
OPEN = "SELECT count(*) FROM duly.dead_letters WHERE closed_at IS NULL"


@pytest.fixture(autouse=True)
def _many(sql_now: psycopg.Connection) -> None:
    sql_now.execute(MANY)


@contextmanager
def blocked(database_url: str, letter: int) -> Iterator[psycopg.Connection]:
    """Somebody else has the letter, until he commits."""
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM duly.dead_letters WHERE id = %s FOR UPDATE", [letter])
        yield other


def wait_until_it_waits(database: psycopg.Connection) -> None:
    """Until the command has come to the letter that another has."""
    wait_for("the command to be blocked", lambda: database.execute(WAITING).fetchone())


def act_in(talk: str) -> str:
    """The number of the act that the command said it begins."""
    found = re.match(
        r"duly: act (\d+) begins; if it is interrupted: `duly dlq (\w+) --continue", talk
    )
    assert found, talk
    return found[1]


def test_each_chunk_is_told(duly: Duly, sql_now: psycopg.Connection) -> None:
    done = duly("dlq", "discard", "--all", "--yes", "--by", "ann", "--output", "ndjson")
    closed = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(each["id"] for each in closed) == [*range(1, 1201)]
    assert {(each["outcome"], each["closed_by"]) for each in closed} == {("discarded", "ann")}
    assert done.stderr.splitlines()[1:] == [
        "duly: 500 of 1200 ...",
        "duly: 1000 of 1200 ...",
        "duly: 1200 of 1200 ...",
        "duly: 1200 of 1200 discarded",
    ]
    assert sql_now.execute(OPEN).fetchone() == (0,)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_command_is_continued_with_exactly_the_rest(
    duly: Duly, database_url: str, sql_now: psycopg.Connection, end: signal.Signals
) -> None:
    command = ("dlq", "discard", "--all", "--limit", "600", "--yes", "--by", "ann", "--why", "old")
    with blocked(database_url, 650), duly.start(*command) as discarding:
        wait_until_it_waits(sql_now)
        discarding.send_signal(end)
        _, talk = discarding.communicate(timeout=30)
    assert discarding.returncode in (130, -signal.SIGKILL)
    assert sql_now.execute(OPEN).fetchone() == (700,)
    rest = ("dlq", "discard", "--continue", act_in(talk))
    assert duly.json(*rest, "--dry-run")["matched"] == 100
    done = duly(*rest, "--by", "bob")
    assert done.stderr.splitlines() == [
        f"duly: 100 of 600 are left of act {act_in(talk)}, by ann",
        "duly: 100 of 100 discarded",
    ]
    closed = "SELECT min(id), count(*) FROM duly.dead_letters WHERE close_reason = 'old'"
    assert sql_now.execute(closed).fetchone() == (601, 600)
    assert duly(*rest).returncode == 3


def test_an_interrupted_command_prints_what_it_closed_and_how_to_go_on(
    duly: Duly, database_url: str, sql_now: psycopg.Connection
) -> None:
    command = ("dlq", "discard", "--all", "--oldest-first", "--yes", "--output", "json")
    with blocked(database_url, 650), duly.start(*command) as discarding:
        wait_until_it_waits(sql_now)
        discarding.send_signal(signal.SIGINT)
        data, talk = discarding.communicate(timeout=30)
    assert discarding.returncode == 130
    closed = json.loads(data)
    assert sorted(each["id"] for each in closed) == [*range(1, 501)]
    assert {each["outcome"] for each in closed} == {"discarded"}
    assert talk.splitlines()[-1] == (
        "duly: interrupted, 500 of 1200 discarded; "
        f"`duly dlq discard --continue {act_in(talk)}` does the rest"
    )


def test_interrupted_on_named_letters_the_same_command_does_the_rest(
    duly: Duly, database_url: str, sql_now: psycopg.Connection
) -> None:
    with blocked(database_url, 7), duly.start("dlq", "discard", "7", "8") as discarding:
        wait_until_it_waits(sql_now)
        discarding.send_signal(signal.SIGINT)
        _, talk = discarding.communicate(timeout=30)
    assert discarding.returncode == 130
    assert talk == "duly: interrupted, 0 of 2 discarded; the same command does the rest\n"


def test_a_lost_connection_leaves_letters_of_which_nothing_is_known(
    duly: Duly, database_url: str, sql_now: psycopg.Connection
) -> None:
    command = ("dlq", "discard", "--all", "--yes", "--output", "json")
    with blocked(database_url, 600), duly.start(*command) as discarding:
        wait_until_it_waits(sql_now)
        sql_now.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        data, talk = discarding.communicate(timeout=30)
    assert discarding.returncode == 4
    outcomes = [each["outcome"] for each in json.loads(data)]
    assert (outcomes.count("discarded"), outcomes.count("not known")) == (500, 700)
    assert talk.splitlines()[-3].endswith(
        f"; `duly dlq discard --continue {act_in(talk)}` does the rest"
    )
    assert talk.splitlines()[-1] == "duly: 500 of 1200 discarded"
    assert sql_now.execute(OPEN).fetchone() == (700,)
    rest = duly("dlq", "discard", "--continue", act_in(talk))
    assert rest.stderr.splitlines()[-1] == "duly: 700 of 700 discarded"


def test_of_two_operators_the_later_is_told_which_and_why(
    duly: Duly, database_url: str, sql_now: psycopg.Connection
) -> None:
    command = ("dlq", "discard", "--all", "--yes", "--output", "json")
    with blocked(database_url, 601) as bob, duly.start(*command) as discarding:
        wait_until_it_waits(sql_now)
        bob.execute(transitions.DISCARD, {"ids": [*range(601, 651)], "by": "bob", "why": None})
        bob.commit()
        data, talk = discarding.communicate(timeout=30)
    assert discarding.returncode == 4
    others = [each for each in json.loads(data) if each["outcome"] != "discarded"]
    assert sorted(each["id"] for each in others) == [*range(601, 651)]
    assert {(e["outcome"], e["closed_by"]) for e in others} == {("discarded before", "bob")}
    assert "duly: not discarded, discarded before by bob: " in talk
    assert talk.splitlines()[-1] == "duly: 1150 of 1200 discarded"
    assert sql_now.execute(OPEN).fetchone() == (0,)


@pytest.mark.parametrize(
    "arguments",
    [["--continue", "99"], ["--continue", "1", "--all"], ["--continue", "1", "7"],
     ["--continue", "1", "--limit", "7"], ["--continue", "1"]],
    ids=["no act", "and all", "and an id", "and a limit", "an act of another sort"],
)  # fmt: skip
def test_what_cannot_be_continued_is_refused(
    duly: Duly, sql_now: psycopg.Connection, arguments: list[str]
) -> None:
    duly("dlq", "discard", "--all", "--limit", "1", "--yes")
    assert duly("dlq", "replay", *arguments, "--yes").returncode == 2
    assert sql_now.execute(OPEN).fetchone() == (1199,)


def test_a_list_goes_on_to_the_end_in_both_orders(duly: Duly) -> None:
    first = duly("dlq", "list", "--limit", "1000", "--output", "json")
    assert first.stderr == "duly: there are more: go on with --after 201\n"
    rest = duly("dlq", "list", "--limit", "1000", "--after", "201", "--output", "json")
    assert rest.stderr == ""
    listed = [each["id"] for page in (first, rest) for each in json.loads(page.stdout)]
    assert listed == [*range(1200, 0, -1)]
    oldest = duly.json("dlq", "list", "--oldest-first", "--limit", "2", "--after", "7")
    assert [each["id"] for each in oldest] == [8, 9]

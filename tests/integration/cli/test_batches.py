"""`duly batches`."""

import json
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import batch, submit
from outbox.operations import batches, jobs
from outbox.operations.jobs import JobFilter
from service.subjects import KINDS
from tests.integration.cli.conftest import Duly, email
from tests.support.service import lives

RECORD = "SELECT who, why, act FROM duly.acts WHERE act LIKE '%batch' ORDER BY id"


@pytest.fixture
def group(session: Session) -> UUID:
    """A batch of two that grows."""
    with batch(session, on_success=email(), seal=False) as group:
        submit(session, email())
        submit(session, email())
    session.commit()
    return group.id


def test_batches_and_their_members_are_listed_and_shown(duly: Duly, group: UUID) -> None:
    (listed,) = duly.json("batches", "list", "--open")
    assert (listed["id"], listed["state"]) == (str(group), "growing")
    shown = duly.json("batches", "show", group)
    assert shown["callbacks"] == {"on_success": "email.send"}
    members = duly.json("batches", "members", group, "--state", "queued")
    assert [job["batch_id"] for job in members] == [str(group)] * 2


def test_a_batch_is_sealed_and_cancelled_by_somebody(
    duly: Duly, group: UUID, sql_now: psycopg.Connection
) -> None:
    for act, code in (("seal", 0), ("cancel", 0), ("seal", 1)):
        done = duly("batches", act, group, "--by", "ann", "--why", "enough")
        assert done.returncode == code
    assert done.stderr == "duly: nothing done: the batch is cancelling\n"
    assert sql_now.execute(RECORD).fetchall() == [
        ("ann", "enough", "seal-batch"),
        ("ann", "enough", "cancel-batch"),
    ]


def test_a_dead_member_of_a_cancelled_batch_is_not_replayed(
    duly: Duly, group: UUID, session: Session, sql_now: psycopg.Connection
) -> None:
    (job, _) = jobs.find(session, JobFilter(batch_id=group))
    letter = lives.die(sql_now, lives.claim(sql_now, str(job.id)), ("SMTPError", "full"))
    batches.cancel(session, group, by="ann")
    session.commit()
    done = duly("dlq", "replay", letter)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        *(1, f"duly: not replayed, its batch was cancelled: {letter}"),
    )


def lines(*given: object) -> str:
    """JSON lines."""
    return "".join(f"{json.dumps(each)}\n" for each in given)


MAIL = {"to": "anna@example.org", "subject": "Hello", "text": "between us"}
NEW = {"kind": "email.send", "payload": MAIL}
WRITTEN = "SELECT (SELECT count(*) FROM duly.batches), (SELECT count(*) FROM duly.jobs)"


def test_a_batch_is_made_from_stdin_and_grows_from_a_file_until_it_is_sealed(
    duly: Duly, sql_now: psycopg.Connection, tmp_path: Path
) -> None:
    options = ("--on-success", json.dumps(NEW), "--subject", "import:7", "--by", "ann")
    low = NEW | {"priority": "low"}
    made = duly("batches", "create", "-", "--open", *options, input=lines(NEW, low) + "\n")
    assert (made.returncode, made.stderr) == (0, "duly: 2 jobs submitted; the batch grows\n")
    group = made.stdout.strip()
    shown = duly.json("batches", "show", group)
    assert (shown["state"], shown["subject"], shown["submitted_by"]) == (
        "growing",
        "import:7",
        "ann",
    )
    assert shown["callbacks"] == {"on_success": "email.send"}
    more = tmp_path / "more.ndjson"
    more.write_text(lines(NEW))
    last = duly.json("batches", "add", group, more, "--seal", "--by", "bob", "--why", "last")
    assert (last["state"], len(last["job_ids"])) == ("open", 1)
    late = duly("batches", "add", group, more)
    assert (late.returncode, late.stderr) == (1, "duly: nothing added: the batch is open\n")
    assert sql_now.execute(WRITTEN).fetchone() == (1, 3)
    acts = "SELECT who, why, act, cardinality(about) FROM duly.acts ORDER BY id"
    assert sql_now.execute(acts).fetchall() == [
        ("ann", None, "create-batch", 3),
        ("bob", "last", "add-to-batch", 2),
        ("bob", "last", "seal-batch", 1),
    ]


def test_lines_that_cannot_be_used_are_named_and_nothing_is_written(
    duly: Duly, sql_now: psycopg.Connection
) -> None:
    wrong = NEW | {"payload": MAIL | {"to": "nobody"}}
    late = NEW | {"run_at": "2030-01-01T00:00:00Z", "expires_at": "2029-01-01T00:00:00Z"}
    given = lines(NEW, wrong, NEW | {"kind": "no.such"}, late, NEW | {"color": 1}) + "{"
    done = duly("batches", "create", "-", input=given)
    assert done.returncode == 2
    assert [line.removeprefix("duly: ").split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["line 2", "payload.to"],
        [
            "line 3",
            f"there is no kind 'no.such'; the kinds are {', '.join(KINDS)}",
        ],
        ["line 4", "expires_at must be later than run_at"],
        ["line 5", "color"],
        ["line 6", "job is not JSON"],
    ]
    assert duly("batches", "create").stderr == (
        "duly: a batch of no jobs: give a FILE that has some, or --open\n"
    )
    bad = duly("batches", "create", "-", "--on-settled", json.dumps(wrong), input=lines(NEW))
    assert (bad.returncode, bad.stderr[:32]) == (2, "duly: --on-settled: payload.to: ")
    assert duly("batches", "add", UUID(int=0), "-", input=lines(NEW)).returncode == 3
    assert sql_now.execute(WRITTEN).fetchone() == (0, 0)

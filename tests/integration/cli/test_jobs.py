"""`duly jobs` on a real database."""

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import submit
from tests.integration.cli.conftest import MISSING, Duly, email
from tests.support.service import lives
from tests.support.wait import wait_for

HAS_LOOKED = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'COMMIT'
"""
PAYLOAD = '{"to": "bob@example.org", "subject": "Grüße", "text": "between us"}'


def test_submit_commits_a_job_with_its_event(duly: Duly, sql_now: psycopg.Connection) -> None:
    run_at = "2100-01-01T00:00:00+00:00"
    options = ("--payload", "-", "--run-at", run_at, "--priority", "high", "--by", "anna")
    printed = duly.json("jobs", "submit", "email.send", *options, input=PAYLOAD)
    query = """
        SELECT job.payload ->> 'subject', job.submitted_by, event.priority, event.available_at
        FROM duly.jobs AS job JOIN duly.outbox_events AS event ON event.job_id = job.id
        WHERE job.id = %s
    """
    row = sql_now.execute(query, [printed["id"]]).fetchone()
    assert row == ("Grüße", "anna", 0, datetime(2100, 1, 1, tzinfo=UTC))


def test_submit_says_when_the_job_expires(duly: Duly, sql_now: psycopg.Connection) -> None:
    submit = ("jobs", "submit", "email.send", "--payload", PAYLOAD)
    moment = "2100-01-01T00:00:00+00:00"
    assert duly(*submit, "--expires", moment).returncode == 0
    stored = sql_now.execute("SELECT expires_at FROM duly.jobs").fetchall()
    assert stored == [(datetime(2100, 1, 1, tzinfo=UTC),)]
    refused = duly(*submit, "--run-at", moment, "--expires", moment)
    assert refused.returncode == 2
    assert refused.stderr == "duly: --expires must be later than --run-at\n"


def test_submit_prints_the_id_alone(duly: Duly) -> None:
    run_at = "2100-01-01T00:00:00+00:00"
    done = duly("jobs", "submit", "email.send", "--payload", PAYLOAD, "--run-at", run_at)
    assert done.stderr == (
        "duly: submitted email.send to the queue email, to run at 2100-01-01 00:00:00Z\n"
    )
    assert duly("jobs", "show", done.stdout.strip()).returncode == 0
    assert done.stdout == f"{UUID(done.stdout.strip())}\n"


def test_submit_names_each_wrong_field_and_writes_nothing(
    duly: Duly, sql_now: psycopg.Connection
) -> None:
    done = duly("jobs", "submit", "email.send", "--payload", '{"to": "?", "subject": "Hello"}')
    assert done.returncode == 2
    to, text = done.stderr.splitlines()
    assert to.startswith("duly: payload.to: ")
    assert text == "duly: payload.text: Field required"
    assert sql_now.execute("SELECT count(*) FROM duly.jobs").fetchone() == (0,)


def test_submit_refuses_a_payload_that_is_nested_too_deeply(duly: Duly) -> None:
    done = duly("jobs", "submit", "email.send", "--payload", "[" * 65 + "]" * 65)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "duly: payload: may be nested up to 64 levels deep\n"


def test_submit_refuses_a_payload_of_too_many_values(duly: Duly, tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text("[" + ",".join(["[]"] * 100_000) + "]")
    done = duly("jobs", "submit", "email.send", "--payload", f"@{payload}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "duly: payload: may have up to 100000 values, at all levels together\n"


def test_submit_names_a_field_that_is_given_twice_or_not_kept_exactly(duly: Duly) -> None:
    payload = '{"to": "bob@example.org", "to": "eve@example.org", "text": 12345678901234567.89}'
    done = duly("jobs", "submit", "email.send", "--payload", payload)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "duly: payload.to: is given more than once",
        "duly: payload.text: is a number that cannot be kept exactly: send it as a text",
    ]


def test_list_filters_and_hides_sensitive_fields(duly: Duly, session: Session, job: UUID) -> None:
    submit(session, email(), subject="invoice:2")
    session.commit()
    (listed,) = duly.json("jobs", "list", "--subject", "invoice:1", "--state", "queued")
    assert listed["id"] == str(job)
    assert listed["payload"]["to"] == "[redacted]"
    (shown,) = duly.json("jobs", "list", "--limit", 1, "--payloads")
    assert shown["subject"] == "invoice:2"
    assert shown["payload"]["to"] == "anna@example.org"


def test_a_list_fits_a_terminal_of_80_columns(duly: Duly, job: UUID) -> None:
    master, slave = os.openpty()
    duly.environment |= {"COLUMNS": "80", "TERM": "dumb"}
    duly("jobs", "list", stdout=slave)
    os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as terminal:
        header, row = terminal.read(4096).decode().splitlines()
    assert header.split() == ["id", "kind", "state", "attempt", "subject"]
    assert row.split() == [str(job), "email.send", "queued", "0", "invoice:1"]
    assert len(row) <= 80


def test_list_filters_by_state_and_creation(
    duly: Duly, session: Session, job: UUID, sql_now: psycopg.Connection
) -> None:
    later = submit(session, email(), run_at=datetime(2100, 1, 1, tzinfo=UTC)).id
    session.commit()
    sql_now.execute("UPDATE duly.jobs SET created_at = now() - interval '3 h' WHERE id = %s", [job])

    def listed(*options: str) -> list[str]:
        return [each["id"] for each in duly.json("jobs", "list", *options)]

    assert listed("--state", "scheduled") == [str(later)]
    assert listed("--state", "queued") == [str(later), str(job)]
    assert listed("--since", "2h") == [str(later)]
    assert listed("--until", "2h") == [str(job)]
    assert listed("--since", "4h", "--until", "2h", "--state", "queued") == [str(job)]
    assert listed("--since", "4h", "--state", "running") == []


def test_show_prints_every_attempt_and_lets_no_text_command_the_terminal(
    duly: Duly, die: Callable[..., UUID]
) -> None:
    job_id = die(error_message="[bold]\x1b[2J\x9bboo")
    shown = duly.json("jobs", "show", job_id)
    assert (shown["state"], shown["payload"]["text"]) == ("dead", "[redacted]")
    assert shown["attempts"][0]["error_message"] == "[bold]\x1b[2J\x9bboo"
    table = duly("jobs", "show", job_id).stdout
    assert r"[bold]\x1b[2J\x9bboo" in table
    assert not {"\x1b", "\x9b"} & set(table)


@pytest.mark.parametrize("levels", [60, 260, 900])
def test_deep_values_are_shown_at_once_and_hide_nothing_else(
    duly: Duly, die: Callable[..., UUID], sql_now: psycopg.Connection, levels: int
) -> None:
    job_id = die()
    deep = f'{{"deep": {"[" * levels}1{"]" * levels}, "beside": "here"}}'
    sql_now.execute("UPDATE duly.jobs SET payload = %s::text::jsonb, result = payload", [deep])
    sql_now.execute("UPDATE duly.dead_letters SET message_headers = %s::text::jsonb", [deep])
    commands = [("jobs", "list"), ("jobs", "show", job_id), ("dlq", "show", 1)]
    for command in commands:
        for output in ("table", "json"):
            done = duly(*command, "--payloads", "--output", output)
            assert (done.returncode, done.stderr) == (0, "")
            assert "here" in done.stdout


def test_a_list_with_payloads_shows_them_whole_also_in_a_table(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    assert "anna@example.org" not in duly("jobs", "list").stdout
    assert "anna@example.org" in duly("jobs", "list", "--payloads").stdout
    text = "".join(f"{number:04}" for number in range(900))
    sql_now.execute("UPDATE duly.jobs SET payload = jsonb_build_object('text', %s::text)", [text])
    assert text[-4:] in duly("jobs", "list", "--payloads").stdout


def test_a_list_records_a_look_at_those_jobs_only_whose_values_it_shows(
    duly: Duly, session: Session, job: UUID, sql_now: psycopg.Connection
) -> None:
    large = "UPDATE duly.jobs SET payload = jsonb_build_object('text', repeat('x', 5000))"
    sql_now.execute(large)
    assert duly.json("jobs", "list", "--payloads")[0]["left_out"] == ["payload"]
    assert duly.json("acts", "list") == []
    small = submit(session, email())
    session.commit()
    assert len(duly.json("jobs", "list", "--payloads")) == 2
    (look,) = duly.json("acts", "list")
    assert (look["act"], look["about"]) == ("look", [f"job:{small.id}"])


def test_a_traceback_that_comes_again_names_the_first_attempt_with_it(
    duly: Duly, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    job_id = die()
    again = """
        INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message,
            traceback, finished_at)
        SELECT job_id, number, outcome, error_type, error_message,
               CASE number WHEN 3 THEN 'another' ELSE traceback END, finished_at
        FROM duly.attempts, generate_series(2, 5) AS number
    """
    sql_now.execute(again)
    for shown in (duly("jobs", "show", job_id).stdout, duly("dlq", "show", 1).stdout):
        lines = [line.split(maxsplit=1)[1] for line in shown.splitlines() if "traceback " in line]
        same = "as in attempt 1"
        assert lines == ["Traceback:", same, "another", same, same]


def test_a_list_that_goes_on_says_how(duly: Duly, session: Session, job: UUID) -> None:
    newer = submit(session, email())
    session.commit()
    first = duly("jobs", "list", "--limit", 1)
    assert first.stderr == f"duly: there are more: go on with --after {newer.id}\n"
    (listed,) = duly.json("jobs", "list", "--after", newer.id)
    assert listed["id"] == str(job)


def test_an_unknown_job_is_said_to_be_unknown(duly: Duly) -> None:
    done = duly("jobs", "show", MISSING)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"duly: there is no job {MISSING}\n"


def test_cancel_tells_what_became_of_each_job(duly: Duly, job: UUID) -> None:
    first = duly.json("jobs", "cancel", job, MISSING, code=4)
    assert [row["outcome"] for row in first] == ["cancelled", "unknown"]
    (again,) = duly.json("jobs", "cancel", job, code=1)
    assert again["outcome"] == "ended"


def test_watch_prints_changes_until_the_job_ends(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    with duly.start("jobs", "watch", job) as watching:
        assert watching.stdout
        assert watching.stdout.readline().startswith("queued  attempt 0 of 8")
        sql_now.execute("UPDATE duly.jobs SET state = 'running', attempt = 1")
        assert watching.stdout.readline().startswith("running  attempt 1 of 8")
        sql_now.execute("UPDATE duly.jobs SET state = 'succeeded', finished_at = now()")
        rest, talk = watching.communicate(timeout=30)
    assert rest.startswith("succeeded")
    assert (watching.returncode, talk) == (0, "")


def test_watch_ends_quietly_on_interrupt(duly: Duly, job: UUID) -> None:
    with duly.start("jobs", "watch", job) as watching:
        assert watching.stdout
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, talk = watching.communicate(timeout=30)
    assert (watching.returncode, talk) == (130, "")


def test_watch_prints_what_was_over_before_and_the_error_of_a_dead_job(
    duly: Duly, die: Callable[..., UUID]
) -> None:
    dead = die(error_message="mailbox\x1b full\nand more")
    done = duly("jobs", "watch", dead)
    assert done.stdout.splitlines() == [
        "queued  attempt 0 of 8  email.send",
        "running  attempt 1 of 8  email.send",
        r"failed  attempt 1 of 8  email.send  SMTPError: mailbox\x1b full",
        "dead  attempt 1 of 8  email.send",
    ]
    error = r"SMTPError: mailbox\x1b full"
    assert done.stderr == f"duly: job {dead} is dead (dead letter 1): {error}\n"
    assert done.returncode == 1


def test_watch_prints_an_attempt_that_began_and_failed_between_two_looks(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    retried = """
        WITH attempt AS (
            INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message)
            SELECT id, n, 'failed', 'OSError', 'no answer' FROM duly.jobs, generate_series(1, 2) n
        )
        UPDATE duly.jobs SET attempt = 3, state = 'succeeded', finished_at = now()
    """
    with duly.start("jobs", "watch", job) as watching:
        assert watching.stdout
        assert watching.stdout.readline().startswith("queued  attempt 0 of 8")
        sql_now.execute(retried)
        rest, talk = watching.communicate(timeout=30)
    assert [line.split("  ")[:2] for line in rest.splitlines()] == [
        ["running", "attempt 1 of 8"],
        ["failed", "attempt 1 of 8"],
        ["queued", "attempt 1 of 8"],
        ["running", "attempt 2 of 8"],
        ["failed", "attempt 2 of 8"],
        ["queued", "attempt 2 of 8"],
        ["running", "attempt 3 of 8"],
        ["succeeded", "attempt 3 of 8"],
    ]
    assert (watching.returncode, talk) == (0, "")


def test_watch_and_show_say_how_far_a_job_is(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    run = lives.claim(sql_now, str(job))
    lives.progress(sql_now, run, done=1, total=4, note="read\x1bing")
    with duly.start("jobs", "watch", job) as watching:
        assert watching.stdout
        lines = [watching.stdout.readline() for _ in range(3)]
        assert lines[1].startswith("running  attempt 1 of 8")
        assert lines[2] == "[#####---------------] 25 %  1 of 4  read\\x1bing\n"
        lives.progress(sql_now, run, done=2, total=4, note=None)
        line = watching.stdout.readline()
        assert line.startswith("[##########----------] 50 %  2 of 4  ends about 20")
        lives.succeed(sql_now, run, "null")
        rest, _ = watching.communicate(timeout=30)
    assert rest.startswith("succeeded")
    assert "2 of 4" in duly("jobs", "show", job).stdout
    shown = duly.json("jobs", "show", job)["progress"]
    assert (shown["done"], shown["total"], shown["ends_at"]) == (2, 4, None)


def test_watch_draws_the_bar_in_place_on_a_terminal(
    duly: Duly, job: UUID, sql_now: psycopg.Connection
) -> None:
    run = lives.claim(sql_now, str(job))
    lives.progress(sql_now, run, done=5, total=None, note="reading")
    ours, theirs = os.openpty()
    with duly.start("jobs", "watch", job, stdout=theirs) as watching:
        os.close(theirs)
        seen = ""
        while "5 done  reading" not in seen:
            seen += os.read(ours, 1000).decode()
        lives.succeed(sql_now, run, "null")
        while "succeeded" not in seen:
            seen += os.read(ours, 1000).decode()
        watching.wait(30)
    os.close(ours)
    assert "\r\x1b[K5 done  reading\r\nsucceeded" in seen


def test_list_has_the_children_of_a_job(
    duly: Duly, job: UUID, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    child = die()
    sql_now.execute("UPDATE duly.jobs SET parent_id = %s WHERE id = %s", [job, child])
    assert [each["id"] for each in duly.json("jobs", "list", "--parent", job)] == [str(child)]


def test_reschedule_moves_a_queued_job(
    duly: Duly, job: UUID, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    change = ("--at", "2100-01-01T00:00:00Z", "--priority", "high", "--queue", "other")
    moved = duly.json("jobs", "reschedule", job, *change, "--by", "ann", "--why", "full")
    assert moved == {
        "id": str(job),
        "state": "scheduled",
        "run_at": "2100-01-01T00:00:00+00:00",
        "priority": "high",
        "queue": "other",
    }
    acts = sql_now.execute("SELECT who, why FROM duly.acts WHERE act = 'reschedule'").fetchall()
    assert acts == [("ann", "full")]
    dead = die()
    ended = duly("jobs", "reschedule", dead, "--priority", "low")
    assert ended.returncode == 1
    assert ended.stderr == f"duly: job {dead} is dead, and was not rescheduled\n"


def test_wait_ends_when_all_have_ended(
    duly: Duly, job: UUID, die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    dead = die()
    with duly.start("jobs", "wait", job, dead, "--output", "json") as waiting:
        looker = wait_for("it has looked", lambda: sql_now.execute(HAS_LOOKED).fetchone())
        sql_now.execute("SELECT pg_terminate_backend(%s)", looker)  # it connects anew
        lives.succeed(sql_now, lives.claim(sql_now, str(job)), "null")
        told, talk = waiting.communicate(timeout=30)
    assert json.loads(told) == [
        {"id": str(job), "state": "succeeded"},
        {"id": str(dead), "state": "dead"},
    ]
    assert (waiting.returncode, talk) == (1, "duly: of 2 jobs: 1 dead, 1 succeeded\n")
    assert duly("jobs", "wait", job).returncode == 0


def test_wait_tells_a_job_that_is_late_from_one_that_is_not_there(duly: Duly, job: UUID) -> None:
    late = duly("jobs", "wait", job, "--timeout", "1s")
    assert (late.returncode, late.stderr) == (124, "duly: of 1 jobs: 1 not ended\n")
    gone = duly("jobs", "wait", job, MISSING)
    assert (gone.returncode, gone.stderr) == (3, f"duly: there is no job {MISSING}\n")


@pytest.fixture
def many(session: Session) -> list[UUID]:
    """Three jobs, the newest first."""
    jobs = [submit(session, email(), subject="invoice:2").id for _ in range(3)]
    session.commit()
    return jobs[::-1]


def test_cancel_by_a_filter_acts_on_exactly_what_has_not_ended(
    duly: Duly, job: UUID, many: list[UUID], die: Callable[..., UUID], sql_now: psycopg.Connection
) -> None:
    sql_now.execute("UPDATE duly.jobs SET subject = 'invoice:2' WHERE id = %s", [die()])
    lives.claim(sql_now, str(many[0]))
    wanted = ("jobs", "cancel", "--subject", "invoice:2")
    seen = duly.json(*wanted, "--dry-run")
    assert (seen["matched"], [each["id"] for each in seen["sample"]]) == (3, [*map(str, many)])
    unasked = duly(*wanted)
    assert (unasked.returncode, unasked.stderr) == (
        2, "duly: 3 jobs match: add --yes to cancel them\n",
    )  # fmt: skip
    why = "ordered twice"
    done = duly.json(*wanted, "--yes", "--by", "ann", "--why", why)
    assert [each["outcome"] for each in done] == ["asked", "cancelled", "cancelled"]
    states = "SELECT state, cancel_reason FROM duly.jobs WHERE id = ANY (%s) ORDER BY id DESC"
    assert sql_now.execute(states, [many]).fetchall() == [
        ("running", why), ("cancelled", why), ("cancelled", why),
    ]  # fmt: skip
    acts = sql_now.execute("SELECT act, who, why, cardinality(about) FROM duly.acts").fetchall()
    assert acts == [("cancel-plan", "ann", why, 3), ("cancel", "ann", why, 3)]
    assert duly.json("jobs", "show", job)["state"] == "queued"


def test_cancel_needs_a_clear_selection(duly: Duly, job: UUID) -> None:
    for options in ((), ("--queue", ""), (job, "--all"), ("--continue", "1", "--all")):
        assert duly("jobs", "cancel", *options, "--yes").returncode == 2
    assert duly("jobs", "cancel", "--queue", "other", "--yes").returncode == 3
    assert duly.json("jobs", "cancel", "--all", "--limit", "1", "--yes") == [
        {"id": str(job), "outcome": "cancelled"}
    ]


def test_submit_prints_the_job_that_there_is_already_of_a_unique_kind(
    duly: Duly, sql_now: psycopg.Connection
) -> None:
    duly.environment["DULY_APP"] = "tests.support.service.unique_app:duly"
    submit = ("jobs", "submit", "books.close", "--payload", '{"customer_id": 1}')
    first = duly.json(*submit)
    again = duly(*submit)

    assert (first["is_duplicate"], again.returncode) == (False, 0)
    assert again.stdout == f"{first['id']}\n"
    assert again.stderr == "duly: books.close is unique, and there is this job already\n"
    assert duly.json(*submit) == first | {"is_duplicate": True}
    assert sql_now.execute("SELECT count(*) FROM duly.jobs").fetchone() == (1,)

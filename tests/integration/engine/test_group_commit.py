import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from outbox.store import transitions
from outbox.worker.records import group_size, held_records
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed
from outbox.worker.records.statements import PROBE
from tests.integration.engine.refusing import PRIVILEGE, Refusing
from tests.support.engine.by_hand import KIND, WAITING, WHAT_WENT_WRONG, ByHand
from tests.support.wait import PATIENCE_SECONDS, wait_for

COMMITS = """
CREATE TABLE commits (waits text);
CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO commits SELECT current_setting('synchronous_commit'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER note_commit AFTER UPDATE ON duly.jobs DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION note_commit()
"""
"""Has each commit of changed jobs say whether it waits for the disk."""
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as threads:
        yield threads


@pytest.fixture
def group_commit(database_url: str) -> Iterator[GroupCommit]:
    """Not started yet, so that what is handed in meanwhile becomes one group."""
    group_commit = GroupCommit(database_url, "w1")
    yield group_commit
    group_commit.close()


def handed_in(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, step: str, rows: list[dict[str, Any]]
) -> "list[Future[Any]]":
    """The answers to come, once all rows wait for the group commit."""
    waiting = group_commit._entries.qsize() + len(rows)
    answers = [threads.submit(group_commit.write, step, row) for row in rows]
    wait_for("all entries", lambda: group_commit._entries.qsize() == waiting)
    return answers


def question(job: UUID, dispatch: int = 1) -> dict[str, object]:
    """The row of a claim."""
    return {"id": job, "dispatch": dispatch, "kind": KIND}


def test_what_comes_alone_does_not_wait_until_others_have_gathered(
    group_commit: GroupCommit,
    threads: ThreadPoolExecutor,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("outbox.worker.records.group_commit.MAX_LINGER_SECONDS", 3600)
    group_commit.start()
    for job in [by_hand.submit() for _ in range(3)]:
        answer = threads.submit(group_commit.write, transitions.CLAIM, question(job))
        assert answer.result(timeout=PATIENCE_SECONDS).attempt == 1


def test_what_gathers_is_written_in_one_commit(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    jobs = [by_hand.submit() for _ in range(20)]
    claimed = [question(job) for job in jobs]
    done = [
        {"id": by_hand.running(), "dispatch": 1, "attempt": 1, "result": str(n)} for n in range(20)
    ]
    claims = handed_in(group_commit, threads, transitions.CLAIM, claimed)
    successes = handed_in(group_commit, threads, transitions.SUCCEED, done)
    group_commit.start()

    assert [claim.result(10).attempt for claim in claims] == [1] * 20
    assert all(success.result(10) for success in successes)
    assert len(by_hand.take("SELECT DISTINCT xmin::text FROM duly.jobs")) == 1
    assert by_hand.job(jobs[0])["worker"] == "w1"
    results = by_hand.take("SELECT result FROM duly.jobs WHERE state = 'succeeded' ORDER BY id")
    assert [row["result"] for row in results] == list(range(20))


@pytest.fixture
def commits(sql_now: psycopg.Connection) -> Iterator[None]:
    sql_now.execute(COMMITS)
    yield
    sql_now.execute("DROP FUNCTION note_commit CASCADE")
    sql_now.execute("DROP TABLE commits")


@pytest.mark.parametrize(
    ("claims", "successes", "waits"), [(2, 0, {"off"}), (0, 2, {"on"}), (2, 2, {"on"})]
)
def test_only_claims_among_themselves_do_not_wait_for_the_disk(
    group_commit: GroupCommit,
    threads: ThreadPoolExecutor,
    by_hand: ByHand,
    request: pytest.FixtureRequest,
    claims: int,
    successes: int,
    waits: set[str],
) -> None:
    jobs = [by_hand.submit() for _ in range(claims)]
    done = [
        {"id": by_hand.running(), "dispatch": 1, "attempt": 1, "result": "null"}
        for _ in range(successes)
    ]
    request.getfixturevalue("commits")
    answers = [
        *handed_in(group_commit, threads, transitions.CLAIM, [question(job) for job in jobs]),
        *handed_in(group_commit, threads, transitions.SUCCEED, done),
    ]
    group_commit.start()
    assert all(answer.result(10) for answer in answers)
    assert {row["waits"] for row in by_hand.take("SELECT waits FROM commits")} == waits


def test_a_bad_row_before_other_steps_of_its_group_spoils_none_of_them(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    """What Postgres says of the steps that follow it is not mistaken for an outage."""
    bad = {"id": by_hand.running(), "dispatch": 1, "attempt": 1, "result": "{no json"}
    (refused,) = handed_in(group_commit, threads, transitions.SUCCEED, [bad])
    jobs = [by_hand.submit() for _ in range(20)]
    claims = handed_in(group_commit, threads, transitions.CLAIM, [question(job) for job in jobs])
    group_commit.start()

    with pytest.raises(psycopg.DataError):
        refused.result(10)
    assert all(claim.result(10) for claim in claims)


def foreign(size: int) -> dict[str, object]:
    """The row of a foreign message whose body has so many bytes, as hex digits of twice as many."""
    body = rf"\x{'00' * size}"
    return {"queue": "q", "error_message": "it is not JSON", "body": body, "headers": "{}"}


def commits_of_letters(by_hand: ByHand) -> list[int]:
    """How many letters each commit wrote, the oldest first."""
    counts = "SELECT count(*) AS n FROM duly.dead_letters GROUP BY xmin ORDER BY min(id)"
    return [row["n"] for row in by_hand.take(counts)]


def test_large_rows_are_written_a_few_at_a_time(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    rows = [foreign(group_size.MAX_CHARACTERS // 4 + 1)] * 5
    answers = handed_in(group_commit, threads, transitions.KEEP_FOREIGN, rows)
    group_commit.start()
    assert all(answer.result(10) for answer in answers)
    assert commits_of_letters(by_hand) == [2, 2, 1]


@pytest.fixture
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for the tables to take rows again while none is being written."""
    monkeypatch.setattr(held_records, "FIRST_SECONDS", 2)


@pytest.mark.usefixtures("_unhurried")
def test_large_rows_that_were_held_are_written_a_few_at_a_time(
    group_commit: GroupCommit,
    threads: ThreadPoolExecutor,
    by_hand: ByHand,
    refusing: Refusing,
) -> None:
    refusing.refuse("dead_letters", "true")
    rows = [foreign(group_size.MAX_CHARACTERS // 4 + 1)] * 3
    answers = handed_in(group_commit, threads, transitions.KEEP_FOREIGN, rows)
    with capture_logs() as logs:
        group_commit.start()
        wait_for("all are held", lambda: str(logs).count("record held") >= len(rows))
    refusing.take()
    assert all(answer.result(10) for answer in answers)
    assert max(commits_of_letters(by_hand)) == 2


def test_a_row_that_no_statement_takes_is_refused_and_spoils_no_other(
    group_commit: GroupCommit,
    threads: ThreadPoolExecutor,
    by_hand: ByHand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Postgres would close the connection, each time, as if it went away."""
    monkeypatch.setattr("outbox.postgres.round_trip.LARGEST_STATEMENT", 10_000)
    (refused,) = handed_in(group_commit, threads, transitions.KEEP_FOREIGN, [foreign(5_000)])
    claims = handed_in(
        group_commit, threads, transitions.CLAIM, [question(by_hand.submit()) for _ in range(3)]
    )
    group_commit.start()
    with pytest.raises(psycopg.DataError, match="10000 bytes at most"):
        refused.result(10)
    assert all(claim.result(10) for claim in claims)
    assert group_commit.lost_at == -math.inf


def test_a_row_that_the_tables_refuse_spoils_no_other_and_is_written_once_they_take_it(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand, refusing: Refusing
) -> None:
    jobs = [by_hand.running() for _ in range(4)]
    done = [
        {"id": job, "dispatch": 1, "attempt": 1, "result": str(n)} for n, job in enumerate(jobs, 11)
    ]
    refusing.refuse("jobs", "new.result = '13'")
    answers = handed_in(group_commit, threads, transitions.SUCCEED, done)
    group_commit.start()
    first, second, held, last = answers
    assert all(answer.result(10) for answer in (first, second, last))
    with capture_logs() as logs:
        wait_for("another try", lambda: "record held" in str(logs))
    assert not held.done()
    assert group_commit.lost_at == -math.inf
    refusing.take()
    assert held.result(10)
    assert by_hand.job(jobs[2])["result"] == 13


def test_a_ledger_that_stops_holds_nothing(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand, refusing: Refusing
) -> None:
    done = {"id": by_hand.running(), "dispatch": 1, "attempt": 1, "result": "13"}
    refusing.refuse("jobs", "new.result = '13'")
    with capture_logs() as logs:
        group_commit.start()
        held = threads.submit(group_commit.write, transitions.SUCCEED, done)
        wait_for("it is held", lambda: "record held" in str(logs))
    group_commit.stop_waiting()
    with pytest.raises(GroupCommitClosed):
        held.result(10)


def test_a_step_that_the_role_may_not_take_keeps_no_other_waiting(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand, refusing: Refusing
) -> None:
    refusing.refuse("dead_letters", "true", PRIVILEGE)
    death = WHAT_WENT_WRONG | {"reason": "exhausted", "trace": None}
    row = {"id": by_hand.running(), "dispatch": 1, "attempt": 1} | death
    group_commit.start()
    held = threads.submit(group_commit.write, transitions.DIE, row)
    for _ in range(3):
        assert group_commit.write(transitions.CLAIM, question(by_hand.submit()))
    assert not held.done()
    refusing.take()
    assert held.result(10)


@pytest.mark.parametrize("deaths", [1, 3])
def test_a_sequence_that_is_behind_its_rows_is_moved_on_and_the_letters_are_written(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand, deaths: int
) -> None:
    """As after a switchover by logical replication, which does not copy sequences."""
    before = [by_hand.dead()[1] for _ in range(5)]
    by_hand.take(f"SELECT setval('duly.dead_letters_id_seq', {before[0]}, false)")
    death = WHAT_WENT_WRONG | {"reason": "refused", "trace": None}
    fence = {"dispatch": 1, "attempt": 1}
    jobs = [by_hand.running() for _ in range(deaths)]
    answers = handed_in(
        group_commit, threads, transitions.DIE, [{"id": job} | fence | death for job in jobs]
    )
    group_commit.start()
    assert all(answer.result(10) for answer in answers)
    letters = [by_hand.letters(job)[0] for job in jobs]
    assert {letter["reason"] for letter in letters} == {"refused"}
    assert min(letter["id"] for letter in letters) > max(before)


def test_each_thread_gets_the_answer_to_its_own_row(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    jobs = [by_hand.submit(budget=budget) for budget in range(1, 31)]
    rows = [question(job, 1 + n % 2) for n, job in enumerate(jobs)]
    answers = handed_in(group_commit, threads, transitions.CLAIM, rows)
    group_commit.start()
    for n, answer in enumerate(answers):
        claim = answer.result(10)
        assert (claim and claim.attempt_limit) == (None if n % 2 else n + 1)


def test_a_row_that_postgres_refuses_spoils_only_itself(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    jobs = [by_hand.running() for _ in range(10)]
    rows = [
        {"id": job, "dispatch": 1, "attempt": 1, "result": '"\\u0000"' if n == 4 else "1"}
        for n, job in enumerate(jobs)
    ]
    answers = handed_in(group_commit, threads, transitions.SUCCEED, rows)
    group_commit.start()

    with pytest.raises(psycopg.DataError):
        answers[4].result(10)
    assert all(answer.result(10) for n, answer in enumerate(answers) if n != 4)
    states = [by_hand.job(job)["state"] for job in jobs]
    assert states == ["succeeded"] * 4 + ["running"] + ["succeeded"] * 5
    assert group_commit.is_alive


def test_a_lost_connection_is_made_again(
    group_commit: GroupCommit, by_hand: ByHand, cut_postgres: Callable[[], int]
) -> None:
    group_commit.start()
    for _ in range(5):
        assert group_commit.write(transitions.CLAIM, question(by_hand.submit())).attempt == 1
        assert cut_postgres() == 1


def test_a_postgres_that_is_read_only_for_a_while_is_waited_for(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    """As after a failover."""
    (claim,) = handed_in(group_commit, threads, transitions.CLAIM, [question(by_hand.submit())])
    (row,) = by_hand.take("SELECT current_database() AS name")
    change = f'ALTER DATABASE "{row["name"]}" {{}}'.format
    by_hand.connection.execute(change("SET default_transaction_read_only = on").encode())
    try:
        with capture_logs() as logs:
            group_commit.start()
            wait_for("a refusal", lambda: "read-only transaction" in str(logs))
    finally:
        by_hand.connection.execute(change("RESET default_transaction_read_only").encode())
    assert claim.result(10).attempt == 1


def test_a_statement_that_somebody_cancels_is_taken_again(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand, other_hand: ByHand
) -> None:
    job = by_hand.submit()
    group_commit.start()
    with other_hand.connection.transaction():
        other_hand.take("LOCK TABLE duly.jobs")
        claim = threads.submit(group_commit.write, transitions.CLAIM, question(job))
        (waiting,) = wait_for("the claim to wait", lambda: by_hand.take(WAITING))
        by_hand.take("SELECT pg_cancel_backend(%(pid)s)", **waiting)
        wait_for("another", lambda: waiting not in (again := by_hand.take(WAITING)) and again)
    assert claim.result(10).attempt == 1


def test_asked_it_looks_whether_postgres_was_away(
    group_commit: GroupCommit, cut_postgres: Callable[[], int]
) -> None:
    group_commit.start()
    begun = time.monotonic()
    group_commit.write(PROBE, {})
    assert group_commit.lost_at < begun
    assert cut_postgres() == 1
    group_commit.write(PROBE, {})
    assert begun <= group_commit.lost_at < time.monotonic()


def test_a_ledger_that_stops_does_not_wait_for_a_postgres_that_is_away(
    threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    group_commit = GroupCommit(NOWHERE, "w1")
    group_commit.start()
    answer = threads.submit(group_commit.write, transitions.CLAIM, question(by_hand.submit()))
    wait_for("the write to begin", lambda: group_commit._entries.empty())
    assert not answer.done()
    group_commit.close()
    with pytest.raises(GroupCommitClosed):
        answer.result(10)


def test_a_closed_ledger_has_written_what_was_handed_in(
    database_url: str, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    group_commit = GroupCommit(database_url, "w1")
    rows = [question(by_hand.submit()) for _ in range(50)]
    handed_in(group_commit, threads, transitions.CLAIM, rows)
    group_commit.start()
    group_commit.close()
    assert len(by_hand.take("SELECT 1 FROM duly.jobs WHERE state = 'running'")) == 50


def test_a_nudge_reaches_the_relays(group_commit: GroupCommit, by_hand: ByHand) -> None:
    by_hand.connection.execute("LISTEN duly_relay")
    group_commit.start()
    group_commit.wake_up()
    assert next(by_hand.connection.notifies(timeout=10)).channel == "duly_relay"


def test_a_nudge_that_comes_to_nothing_is_no_error(threads: ThreadPoolExecutor) -> None:
    group_commit = GroupCommit(NOWHERE, "w1")
    group_commit.start()
    group_commit.wake_up()
    closed = threading.Event()
    threads.submit(group_commit.close).add_done_callback(lambda _: closed.set())
    assert closed.wait(10)


def test_a_closed_ledger_takes_nothing_more(group_commit: GroupCommit, by_hand: ByHand) -> None:
    group_commit.start()
    group_commit.close()
    with pytest.raises(GroupCommitClosed):
        group_commit.write(transitions.CLAIM, question(by_hand.submit()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_ledger_that_died_keeps_nobody_waiting_once_the_worker_stops(
    group_commit: GroupCommit, threads: ThreadPoolExecutor, by_hand: ByHand
) -> None:
    no_row: dict[str, Any] = {}
    handed_in(group_commit, threads, transitions.CLAIM, [question(by_hand.submit())])
    (claimed,) = handed_in(group_commit, threads, transitions.CLAIM, [no_row])
    group_commit.start()
    wait_for("the group commit has died", lambda: not group_commit.is_alive)
    (too_late,) = handed_in(group_commit, threads, transitions.CLAIM, [question(by_hand.submit())])
    assert not claimed.done()
    assert not too_late.done()
    group_commit.close()
    for answer in (claimed, too_late):
        with pytest.raises(GroupCommitClosed):
            answer.result(10)

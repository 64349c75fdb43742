"""Postgres's clock is stepped while a job runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dev.ports import free_port
from migrations.run import upgrade
from outbox.maintenance import rescuer
from outbox.maintenance.rescuer import Rescuer
from outbox.worker.heartbeat import Heartbeat
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import run_aside
from tests.support.servers.stepped_clock import SteppedPostgres
from tests.support.wait import wait_for

SILENCE = timedelta(seconds=3)
CLOCK = "SELECT extract(epoch FROM now() - %(since)s) AS seconds"
HEARD = "SELECT 1 FROM duly.workers WHERE name = 'alive' AND heartbeat_at > %(since)s"

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres() -> Iterator[SteppedPostgres]:
    """A server of the test's own, migrated."""
    with tempfile.TemporaryDirectory(prefix="duly-clock-") as folder:
        Path(folder).chmod(0o711)  # so that the user it runs as can enter
        postgres = SteppedPostgres(Path(folder, "postgres"), free_port())
        try:
            postgres.start()
            upgrade(postgres.url("postgres"))
            yield postgres
        finally:
            postgres.kill()


@pytest.fixture
def hand(postgres: SteppedPostgres) -> Iterator[ByHand]:
    """The steps, one at a time."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        yield ByHand(connection)


def test_no_step_of_the_clock_takes_a_job_from_a_live_worker(
    postgres: SteppedPostgres, hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step makes all heartbeats look old until the next, and the rescuer looks in between."""
    monkeypatch.setattr(rescuer, "POLL_SECONDS", 0.1)
    with _beating(postgres, "alive"):
        job = hand.running(budget=1, worker="alive")
        orphan = hand.running(worker="dead")
        with _rescuing(postgres):
            wait_for("the rescuer at work", lambda: hand.attempts(orphan))
            for seconds in (60, 120, 7200, 0, 60):
                _step(postgres, hand, seconds)
            orphan = hand.running(worker="dead")
            wait_for("a look after the last step", lambda: hand.attempts(orphan))
    assert hand.job(job)["state"] == "running"


def _step(postgres: SteppedPostgres, hand: ByHand, seconds: int) -> None:
    """Step the clock, and let the worker be heard by the new time."""
    (was,) = hand.take("SELECT now()")
    postgres.step(seconds)
    wait_for("the step", lambda: abs(hand.take(CLOCK, since=was["now"])[0]["seconds"]) > 30)
    (is_now,) = hand.take("SELECT now()")
    wait_for("a heartbeat", lambda: hand.take(HEARD, since=is_now["now"]))


@contextmanager
def _beating(postgres: SteppedPostgres, worker: str) -> Iterator[None]:
    heartbeat = Heartbeat(postgres.url("postgres"), worker, {"q"}, threads=1, tasks=1)
    heartbeat.start()
    assert heartbeat.registered.wait(10)
    yield
    heartbeat.close()


@contextmanager
def _rescuing(postgres: SteppedPostgres) -> Iterator[None]:
    stop = run_aside(Rescuer(postgres.url("postgres"), SILENCE, lambda: None).run)
    try:
        yield
    finally:
        stop()

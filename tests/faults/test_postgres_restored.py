"""Postgres goes back to a copy of its data while worker and relay live on."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dev.postgres import PrivatePostgres
from tests.faults.actors import HOLD
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.outside.arrivals import Gate
from tests.support.servers.nodes import Nodes
from tests.support.wait import wait_for

STATES = "SELECT DISTINCT state, attempt FROM duly.jobs"


class Backup:
    """A copy of the data of a Postgres that was stopped meanwhile."""

    def __init__(self, postgres: PrivatePostgres) -> None:
        self._postgres = postgres
        self.folder = postgres.folder / "backup"
        postgres.stop()
        _copy(str(postgres.data), str(self.folder))
        postgres.start()

    def restore(self) -> None:
        """Kill Postgres and have it serve the copy."""
        self._postgres.wipe()
        _copy(str(self.folder), str(self._postgres.data))
        self._postgres.start()


@pytest.mark.slow
def test_a_job_that_ended_after_the_backup_is_done_again(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, HOLD)
    line.start("relay", "worker")
    wait_for("jobs run", lambda: len(line.receiver.deliveries) == 2)
    with backup(nodes) as copy:
        gate.open()
        wait_for("they end", lambda: promises.rows(STATES) == [("succeeded", 1)])
        copy.restore()
    assert promises.rows(STATES) == [("running", 1)]
    promises.assert_kept()
    assert promises.rows(STATES) == [("succeeded", 1)]


@pytest.mark.slow
def test_a_job_that_began_after_the_backup_is_done_once(
    line: Line, clients: Clients, promises: Promises, nodes: Nodes
) -> None:
    line.receiver.answer = gate = Gate()
    clients.submit(HOLD, HOLD)
    with backup(nodes) as copy:
        _, worker = line.start("relay", "worker")
        wait_for("jobs run", lambda: len(line.receiver.deliveries) == 2)
        copy.restore()
    wait_for("both are interrupted", lambda: worker.log.count("interrupted") == 2)
    gate.open()
    promises.assert_kept()
    assert promises.rows(STATES) == [("succeeded", 1)]


@contextmanager
def backup(nodes: Nodes) -> Iterator[Backup]:
    """A copy of what is committed now, gone afterwards."""
    made = Backup(nodes.postgres)
    try:
        yield made
    finally:
        shutil.rmtree(made.folder)


def _copy(source: str, target: str) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)

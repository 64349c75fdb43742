"""`duly doctor`: what it prints, and its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from dev.ports import free_port
from outbox.cli.errors import Code
from outbox.doctor.catalog import CHECKS
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.release import release
from outbox.store import transitions
from service.subjects import KINDS
from tests.integration.cli.conftest import Duly
from tests.support.outside.mail_server import Inbox, mail_server


@pytest.fixture
def _well(
    duly: Duly, session: Session, sql_now: psycopg.Connection, tmp_path: Path
) -> Iterator[None]:
    """A worker that serves all, a key, a mail server and documents."""
    duly.environment["DULY_DOCUMENTS_URL"] = tmp_path.as_uri()
    duly.environment["DULY_WORKER_SILENCE"] = "PT1H"
    code = json.dumps({"release": release(), "kinds": [*KINDS]})
    row = {"name": "w1", "queues": json.dumps(KINDS.queues), "threads": 8, "tasks": 50}
    sql_now.execute(transitions.RECORD_HEARTBEAT, row | {"code": code})
    api_keys.create(session, "shop", [Scope.READ], by="ops")
    session.commit()
    with mail_server(Inbox()) as address:
        duly.environment["DULY_SMTP_URL"] = f"smtp://{address}"
        yield


@pytest.mark.usefixtures("_well")
def test_it_prints_a_finding_for_each_check_and_tells_warnings(
    duly: Duly, app_database_url: str
) -> None:
    found = {each["check"]: each for each in duly.json("doctor", code=Code.PARTLY)}
    names = {each.name for each in CHECKS}
    assert names <= found.keys()
    assert found["record-of-acts"]["level"] == "warning"  # the database's owner looks
    assert found["workers"] == {
        "check": "workers",
        "level": "ok",
        "found": "1 live",
        "change": None,
        "docs": "docs/operations.md#check-the-state",
    }
    duly.environment["DATABASE_URL"] = app_database_url
    assert {each["level"] for each in duly.json("doctor")} <= {"ok", "skipped"}
    done = duly("doctor")
    assert done.stdout.splitlines()[0].split() == ["check", "level", "found", "change"]
    assert done.stderr == ""


def test_it_ends_with_1_for_an_error_and_shows_no_password(duly: Duly) -> None:
    duly.environment["DATABASE_URL"] = f"postgresql://anna:hunter2@127.0.0.1:{free_port()}/duly"
    done = duly("doctor")
    assert done.returncode == Code.FAILED
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr.startswith("duly: 2 errors, ")  # the mail server is away, too

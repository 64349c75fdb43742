"""The apps of docs/from-celery.md and docs/from-dramatiq.md: before, between and after.

The old app and the new one do the same to the same tables.
"""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pika
import psycopg
import pytest
from dramatiq import Worker
from sqlalchemy.orm import Session

from outbox import submit
from outbox.testing import drain
from tests.support.wait import wait_for

DOCS = Path(__file__).parents[2] / "docs"
FILES = re.compile(r"```python\n# ((?:before|between|after)/\w+\.py)\n(.*?)```", re.DOTALL)
TABLES = """
CREATE TABLE customers (id int, owes bool);
INSERT INTO customers VALUES (1, true), (2, false), (3, true);
CREATE TABLE reminders (id int); CREATE TABLE reports (count int);
CREATE TABLE rendered (id int); CREATE TABLE mailed (id int);
"""


class Page:
    """The modules of a page, as a reader would have them on disk."""

    def __init__(self, page: str, folder: Path) -> None:
        for name, source in FILES.findall((DOCS / page).read_text()):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(source)

    def __getattr__(self, path: str) -> ModuleType:
        return import_module(path.replace("_", "."))


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    database_url: str,
    amqp_url: str,
    sql_now: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    """The page that the test names, with its tables."""
    sql_now.execute(TABLES.encode())
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("AMQP_URL", amqp_url)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("dramatiq.broker.global_broker", None)  # a page sets it
    page = Page(request.param, tmp_path)
    yield page
    page.before_tasks.engine.dispose()
    for name in [*sys.modules]:
        if name.split(".")[0] in ("before", "between", "after"):
            del sys.modules[name]


@pytest.fixture
def old_worker(page: Page, amqp_url: str) -> Iterator[None]:
    """A worker of Dramatiq; its queues are deleted afterwards."""
    broker = page.before_tasks.broker
    worker = Worker(broker, worker_threads=1)
    worker.start()
    yield
    worker.stop()
    broker.close()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        for queue in ("before", "before.DQ", "before.XQ"):
            connection.channel().queue_delete(queue)


def rows(sql: psycopg.Connection, *tables: str) -> list[list[int]]:
    """What each table holds."""
    return [
        [row[0] for row in sql.execute(f"SELECT * FROM {table} ORDER BY 1".encode())]
        for table in tables
    ]


@pytest.mark.parametrize("page", ["from-celery.md"], indirect=True)
def test_from_celery(
    page: Page, session: Session, database_url: str, sql_now: psycopg.Connection
) -> None:
    page.before_tasks.app.conf.task_always_eager = True
    page.before_tasks.remind_all.delay()
    before = rows(sql_now, "reminders", "reports")
    sql_now.execute("TRUNCATE reminders, reports")

    submit(session, page.after_jobs.REMIND_ALL())
    session.commit()
    ended = drain(page.after_actors.ACTORS, database_url)

    assert rows(sql_now, "reminders", "reports") == before == [[1, 3], [2]]
    assert {job.state for job in ended} == {"succeeded"}
    assert [*page.after_jobs.duly.actors()] == [*page.after_actors.ACTORS]

    submit(session, page.between_jobs.OLD_TASK(name="before.tasks.remind", args=[7]))
    submit(session, page.between_jobs.OLD_TASK(name="before.tasks.no_such", args=[7]))
    session.commit()
    called, unknown = drain(page.between_actors.ACTORS, database_url)

    assert (called.state, unknown.state, unknown.attempt) == ("succeeded", "queued", 1)
    assert rows(sql_now, "reminders") == [[1, 3, 7]]


@pytest.mark.parametrize("page", ["from-dramatiq.md"], indirect=True)
def test_from_dramatiq(
    page: Page, session: Session, database_url: str, old_worker: None, sql_now: psycopg.Connection
) -> None:
    page.before_tasks.bill(7)
    wait_for("the mail", lambda: rows(sql_now, "mailed") == [[7]])
    before = rows(sql_now, "rendered", "mailed")
    sql_now.execute("TRUNCATE rendered, mailed")

    submit(session, page.after_jobs.RENDER(invoice_id=7))
    session.commit()
    ended = drain(page.after_actors.ACTORS, database_url)

    assert rows(sql_now, "rendered", "mailed") == before == [[7], [7]]
    assert [job.kind for job in ended] == ["invoice.render", "invoice.mail"]

    submit(session, page.between_jobs.OLD_ACTOR(name="render", args=[8]))
    session.commit()
    [called] = drain(page.between_actors.ACTORS, database_url)

    assert called.state == "succeeded"
    assert rows(sql_now, "rendered", "mailed") == [[7, 8], [7]]

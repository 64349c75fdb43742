"""No secret leaves its place: they are sent along every path, and looked for wherever Duly writes.

Real processes run on real servers. The sinks are the logs in both formats, the answers of the API
and of the commands, the metrics, the traces, the messages in RabbitMQ, and all columns of Postgres
but those that are there to hold what is sensitive.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from dev.ports import free_port
from tests.faults import leaks, sinks
from tests.faults.line import Line
from tests.faults.secrets import Secrets
from tests.support.engine.rabbit import Rabbit
from tests.support.log_calls import bound_fields
from tests.support.log_page import EVENTS, OF_LOGS, OF_TRACES
from tests.support.outside.collector import Collector, collector
from tests.support.outside.mail_server import Inbox
from tests.support.outside.receiver import receiver, status
from tests.support.servers.nodes import Nodes
from tests.support.service.process import Process
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

PLACES = {
    "jobs.payload",
    "jobs.result",
    "emails.recipient",
    "dead_letters.message_body",
    "dead_letters.message_headers",
    "webhook_endpoints.url",
    "webhook_endpoints.secret",
    "webhook_deliveries.attempts",
    "webhook_deliveries.body",
    "emails.reply",
    "suppressions.address",
    "idempotency_keys.key",
    "idempotency_keys.body",
}
"""The columns that are there to hold what is sensitive."""


@pytest.fixture
def secrets() -> Secrets:
    """New ones."""
    return Secrets()


@pytest.fixture
def traces() -> Iterator[Collector]:
    """Where all spans arrive."""
    with collector() as running:
        yield running


@pytest.fixture(params=["json", "console"])
def line(
    request: pytest.FixtureRequest,
    nodes: Nodes,
    empty_queues: None,
    database_url: str,
    secrets: Secrets,
    traces: Collector,
    tmp_path: Path,
) -> Iterator[Line]:
    """The line with a secret in each setting that may have one, and nothing started yet."""
    inbox = Inbox()
    with (
        leaks.refusing_mail_server(inbox, secrets) as smtp,
        receiver() as hooks,
        receiver() as refusing,
    ):
        hooks.answer, refusing.answer = leaks.refusal(secrets["answer"]), status(403)
        where = f"http://127.0.0.1:{refusing.server_port}"
        environment = (
            os.environ
            | secrets.environment(smtp, where, where)
            | {
                "DATABASE_URL": _with_role(database_url, secrets["database password"]),
                "AMQP_URL": _with_user(nodes, secrets["broker password"]),
                "DULY_LOG_FORMAT": request.param,
                "DULY_TRACES": "on",
                "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={secrets['collector key']}",
            }
        )
        line = Line(environment, tmp_path, inbox, hooks)
        yield line
        line.end()


@pytest.mark.timeout(900)
def test_no_secret_leaves_its_place(
    line: Line,
    secrets: Secrets,
    traces: Collector,
    engine: Engine,
    sql_now: psycopg.Connection,
    nodes: Nodes,
) -> None:
    ports = [free_port() for _ in range(3)]
    processes = [*line.start("api"), _measured(line, "relay", ports[0])]
    secrets.add("api key", line.http.headers["Authorization"].rpartition("_")[2])
    refused = leaks.ask_for_nonsense(line, secrets)
    over_http = leaks.submit_over_http(line, secrets)
    leaking = leaks.submit_leaks(engine, secrets)
    with closing(Rabbit(nodes.amqp_url)) as rabbit:
        rabbit.declare("email")
        wait_for("a message", lambda: rabbit.depth("email"))
        messages = rabbit.take_whole("email")
        leaks.publish_nonsense(rabbit, "email", secrets)
    processes.append(_measured(line, "worker", ports[1]))
    line.environment["DULY_ACTORS"] = "tests.faults.leaky:ACTORS"
    processes.append(_measured(line, "worker", ports[2]))
    del line.environment["DULY_ACTORS"]
    wait_for("all have run", lambda: _have_run(sql_now, over_http, leaking), 120)
    wait_for("dead messages", lambda: _count(sql_now, FOREIGN) == 3)

    reader = line.duly("keys", "create", "--name", "reader", "--scopes", "read,operate").strip()
    with httpx2.Client(base_url=line.http.base_url, timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {reader}"
        shown = [*sinks.answers(http)]
    shown += sinks.printed(line)
    shown += [("metrics", httpx2.get(f"http://127.0.0.1:{port}/metrics").text) for port in ports]
    shown.append(("metrics", line.http.get("/metrics").raise_for_status().text))
    shown += [("a refusal", each.text) for each in refused]
    shown += [("a message", f"{properties} {body!r}") for properties, body in messages]
    shown += [("a command", each) for each in _commands_that_fail(line, secrets)]
    shown += [each for each in sinks.columns(sql_now) if each[0] not in PLACES]
    _break(sql_now)
    assert line.http.post("/v1/jobs", json=leaks.mail(secrets)).status_code == 500
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)
    shown += [(f"the log of {each}", each.log) for each in processes]
    assert {span.service for span in traces.spans} == {"duly-api", "duly-relay", "duly-worker"}
    shown += [("a trace", body.decode("latin-1")) for body in traces.spans.bodies]

    assert _leaks(secrets, shown) == []
    if line.environment["DULY_LOG_FORMAT"] == "json":
        lines = [json.loads(each) for process in processes for each in process.log.splitlines()]
        assert list(filter(None, map(_undocumented, lines))) == []


def _undocumented(line: dict[str, Any]) -> str | None:
    """What docs/logs.md does not say of a line of Duly's own."""
    if not line["logger"].startswith(("outbox.", "service.", "actors.")):
        return None
    _, _, fields = EVENTS[line["event"]]
    more = line.keys() - fields - bound_fields() - OF_LOGS - OF_TRACES
    return f"{line['event']}: {more}" if more else None


def _measured(line: Line, name: str, port: int) -> Process:
    return line.start_by_way_of((), name, "--metrics-port", str(port))


FOREIGN = "SELECT count(*) FROM duly.dead_letters WHERE job_id IS NULL"
"""Messages that are no jobs."""
LEFT = """
SELECT count(*) FROM duly.jobs AS job
WHERE id = ANY (%s) AND state IN ('queued', 'running')
  AND payload ->> 'how' IS DISTINCT FROM 'superseded' AND run_at < now() + interval '30 minutes'
  AND NOT EXISTS (SELECT FROM duly.attempts AS attempt WHERE attempt.job_id = job.id)
"""
"""Jobs of which no attempt has ended."""


def _have_run(database: psycopg.Connection, *ids: Iterable[object]) -> bool:
    return _count(database, LEFT, [[str(each) for some in ids for each in some]]) == 0


def _count(database: psycopg.Connection, query: str, parameters: list[object] | None = None) -> int:
    row = database.execute(query, parameters).fetchone()
    assert row
    return int(row[0])


def _commands_that_fail(line: Line, secrets: Secrets) -> Iterator[str]:
    """What commands say of settings and payloads that are wrong and hold a secret."""
    for name, template in WRONG_SETTINGS:
        secret = secrets.add(f"{name} in {template}")
        environment = line.environment | {name: template.format(secret)}
        yield sinks.run(environment, "status" if "URL" in name[:12] else "api", "--output", "json")
    for template in WRONG_PAYLOADS:
        payload = template.replace("SECRET", secrets.add(f"payload {template}"))
        yield sinks.run(line.environment, "jobs", "submit", "email.send", "--payload", payload)


WRONG_SETTINGS = (
    ("DATABASE_URL", "postgresql://duly:{}@127.0.0.1:1/duly"),
    ("DATABASE_URL", "postgresql://duly:{}@127.0.0.1:port/duly"),
    ("DATABASE_URL", "host=127.0.0.1 port=1 user=duly password={} nonsense"),
    ("DATABASE_URL", "mysql://duly:{}@127.0.0.1/duly"),
    ("AMQP_URL", "amqp://duly:{}@127.0.0.1:1/"),
    ("AMQP_URL", "amqp://duly:{}@127.0.0.1:port/"),
    ("AMQP_URL", "amqp://duly:#{}@127.0.0.1/"),
    ("DULY_SMTP_URL", "smtp://duly:#{}@127.0.0.1"),
    ("DULY_SMTP_URL", "smtp://duly:{}@127.0.0.1?starttls=perhaps"),
    ("DULY_STRIPE_URL", "http://duly:{}@127.0.0.1"),
    ("DULY_STRIPE_WEBHOOK_SECRETS", "{},whsec_#"),
    ("DULY_LINKS_SECRET", "{:.20}"),
    ("DULY_DOCUMENTS_KEYS", "first:{}"),
    ("DULY_DOCUMENTS_URL", "s3://key:{}@bucket"),
)
WRONG_PAYLOADS = (
    '{"to": "SECRET", "subject": "Hello", "text": "there"}',
    '{"to": "ada@example.com", "subject": "Hello", "text": ["SECRET"]}',
    '{"to": "SECRET@example.com", "subject',
)


def _break(database: psycopg.Connection) -> None:
    """From now on, submitting fails as by a bug."""
    database.execute("ALTER TABLE duly.outbox_events RENAME TO other_events")


def _leaks(secrets: Secrets, shown: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    return [(where, found) for where, text in shown if (found := secrets.found_in(text))]


def _with_role(url: str, password: str) -> str:
    """The database's address, for a role that has this password."""
    name = f"role_{password[:8]}"
    with psycopg.connect(url, autocommit=True) as owner:
        role, secret = sql.Identifier(name), sql.Literal(password)
        owner.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(role, secret))
    where = make_url(url).set(username=name, password=password)
    return where.render_as_string(hide_password=False)


def _with_user(nodes: Nodes, password: str) -> str:
    """The broker's address, for a user who has this password."""
    name = f"user-{password[:8]}"
    nodes.rabbitmq.control("add_user", name, password)
    nodes.rabbitmq.control("set_permissions", "-p", "/", name, ".*", ".*", ".*")
    where = nodes.amqp_url.rpartition("@")[2].removeprefix("amqp://")
    return f"amqp://{name}:{password}@{where}"

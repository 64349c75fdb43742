"""Where secrets might come out: each function gives what is to be searched, by its place."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import psycopg
from psycopg import sql

from tests.faults.line import Line
from tests.support.service.process import DULY

LISTS = (
    "/v1/jobs",
    "/v1/dead-letters",
    "/v1/overdue-jobs",
    "/v1/batches",
    "/v1/kinds",
    "/v1/queues",
    "/v1/limits",
    "/v1/workers",
    "/v1/schedules",
    "/v1/emails",
    "/v1/suppressions",
    "/v1/payments",
    "/v1/webhook-endpoints",
    "/v1/hook-events",
    "/v1/invoices",
    "/readyz",
    "/v1",
)
SHOWING = (
    ("status",),
    ("jobs", "list"),
    ("dlq", "list"),
    ("dlq", "list", "--closed"),
    ("acts", "list"),
    ("keys", "list"),
    ("queues", "list"),
    ("limits", "list"),
    ("batches", "list"),
    ("schedules", "list"),
    ("events", "list"),
)


def answers(http: httpx2.Client) -> Iterator[tuple[str, str]]:
    """What the API says to a key without the scope `payloads`, of each list and of its items."""
    for path in LISTS:
        answer = http.get(path)
        yield path, _whole(answer)
        for item in _links(answer):
            yield item, _whole(http.get(item))


def printed(line: Line) -> Iterator[tuple[str, str]]:
    """What the commands print: lists as tables and as JSON, and one job of each sort by itself."""
    for command in SHOWING:
        for form in ("table", "json"):
            yield " ".join(command), run(line.environment, *command, "--output", form)
    for what in ("jobs", "dlq"):
        of_each_kind = {each["kind"]: each["id"] for each in line.duly_json(what, "list")}
        for shown in of_each_kind.values():
            yield f"{what} show", run(line.environment, what, "show", str(shown))


def run(environment: Mapping[str, str], *arguments: str) -> str:
    """All that the command writes, whatever becomes of it."""
    done = subprocess.run(
        [*DULY, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def columns(database: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """The content of each column of each table, as text."""
    names = database.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_type = 'BASE TABLE' AND table_schema IN ('public', 'duly')"
    )
    for schema, table, column in names.fetchall():
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.Identifier(column), sql.Identifier(schema, table)
        )
        yield f"{table}.{column}", " ".join(_text(value) for (value,) in database.execute(query))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _whole(answer: httpx2.Response) -> str:
    return "\n".join([*map(": ".join, answer.headers.multi_items()), answer.text])


def _links(answer: httpx2.Response) -> list[str]:
    found = answer.json() if answer.is_success else {}
    lists = [each for each in found.values() if isinstance(each, list)]
    items = [each for some in lists for each in some if isinstance(each, dict)]
    return [each["links"]["self"] for each in items if "self" in each.get("links", {})]

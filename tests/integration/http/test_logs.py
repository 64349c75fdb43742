"""What a process logs: a line for each request, and nothing of what was in it."""

import contextlib
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
import structlog

from outbox import logs
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.wait import wait_for

MAIL: Any = NEW_JOBS["a mail"]["value"]
Configured = Callable[[str], io.StringIO]


@pytest.fixture
def configured(settings: Settings) -> Iterator[Configured]:
    """Configures the logs in a format, for this test; gives what stands in for stderr."""
    root = logging.getLogger()
    _forget_what_loggers_cached()

    def configure(log_format: str) -> io.StringIO:
        root.handlers.clear()  # those of pytest, which it would not like to find closed
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            logs.configure(settings.model_copy(update={"log_format": log_format}))
        return stderr

    yield configure
    root.handlers.clear()
    root.setLevel(logging.WARNING)
    structlog.reset_defaults()
    _forget_what_loggers_cached()


def test_a_request_is_one_line_without_its_content(
    client: httpx2.Client, configured: Configured
) -> None:
    stderr = configured("json")
    made = client.post("/v1/jobs", json=MAIL)
    client.get(made.headers["location"])
    client.get("/v1/jobs?subject=private")

    first, second, _ = _lines(stderr, 3)

    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/jobs", 202)
    assert first["request_id"] == made.headers["x-request-id"]
    assert first["seconds"] > 0
    assert second["route"] == "/v1/jobs/{job_id}"
    assert not any(word in stderr.getvalue() for word in ("private", "ada@", "Bearer"))


def test_the_id_that_a_proxy_gave_a_request_is_kept(
    client: httpx2.Client, configured: Configured
) -> None:
    stderr = configured("json")
    sent = uuid4().hex
    answer = client.get("/v1/jobs", headers={"X-Request-Id": sent})

    (line,) = _lines(stderr, 1)

    assert line["request_id"] == answer.headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent", ["mine", "-" * 3000 + "0" * 32, "\xa0" + "0" * 31, "1_" * 15 + "11"]
)
def test_an_id_that_is_no_uuid_is_replaced(
    client: httpx2.Client, configured: Configured, sent: str
) -> None:
    stderr = configured("json")
    answer = client.get("/v1/jobs", headers={b"X-Request-Id": sent.encode("latin-1")})

    (line,) = _lines(stderr, 1)

    assert line["request_id"] == answer.headers["x-request-id"] == UUID(line["request_id"]).hex
    assert line["request_id"] != sent


def test_a_bug_is_logged_with_its_traceback_and_the_request_id(
    client: httpx2.Client, configured: Configured, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("DROP TABLE duly.outbox_events")
    stderr = configured("json")
    answer = client.post("/v1/jobs", json=MAIL)

    request, bug = _lines(stderr, 2)

    assert request["status"] == answer.status_code == 500
    assert bug["request_id"] == request["request_id"] == answer.json()["request_id"]
    assert "UndefinedTable" in bug["exception"]
    assert "ada@example.com" not in bug["exception"]


def test_libraries_log_through_it_and_pika_only_what_is_critical(configured: Configured) -> None:
    stderr = configured("json")
    logging.getLogger("pika.adapters").error("connection lost, at length")
    logging.getLogger("sqlalchemy.pool").warning("trouble with %s", "a connection")

    (line,) = _lines(stderr, 1)

    assert (line["event"], line["level"]) == ("trouble with a connection", "warning")


def test_values_that_postgres_quotes_in_an_error_are_not_logged(
    configured: Configured, sql_now: psycopg.Connection
) -> None:
    stderr = configured("json")
    try:
        sql_now.execute("SELECT %s::json", ["".join(['{"name": hunt', "er2}"])])
    except psycopg.Error:
        structlog.stdlib.get_logger().exception("failed")

    (line,) = _lines(stderr, 1)
    assert "invalid input syntax for type json" in line["exception"]
    assert "hunter2" not in str(line)


def test_the_line_of_a_head_has_its_route(client: httpx2.Client, configured: Configured) -> None:
    stderr = configured("json")
    client.head("/v1/jobs")

    (line,) = _lines(stderr, 1)
    assert (line["method"], line["route"]) == ("HEAD", "/v1/jobs")


def test_tracebacks_on_the_console_show_no_local_variables(configured: Configured) -> None:
    stderr = configured("console")
    _divide_with_a_secret()

    shown = stderr.getvalue()
    assert "ZeroDivisionError: division by zero" in shown
    assert "user=anna" in shown
    assert "hunter2" not in shown


def test_nothing_that_is_logged_commands_the_terminal(configured: Configured) -> None:
    stderr = configured("console")
    evil = "a\x1b[2J\x9b31m\nduly: forged\r\u202e"
    ours = structlog.stdlib.get_logger()
    ours.warning(evil, why=evil, bare="\x1b[2J", nested=[evil])
    logging.getLogger("somebody").warning("said %s", evil)
    try:
        int(evil)
    except ValueError:
        ours.exception("failed")
        logging.getLogger("somebody").exception("failed")

    shown = stderr.getvalue()
    assert not {"\x1b", "\x9b", "\r", "\u202e"} & set(shown)
    assert r"bare=\x1b[2J" in shown
    before_the_tracebacks = shown.partition("Traceback")[0]
    assert "\nduly: forged" not in before_the_tracebacks


def test_a_line_that_cannot_be_written_is_no_error(configured: Configured) -> None:
    configured("console").close()

    structlog.stdlib.get_logger().warning("said to nobody")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_line_for_a_job_costs_few_microseconds(log_format: str, configured: Configured) -> None:
    """It is to cost 10 at most; 20 here, as the machine may be busy with other things."""
    configured(log_format)
    ours = structlog.stdlib.get_logger("outbox.worker.attempts.attempt")
    job = "01a229e9-0af2-7000-8000-000000000bb3"

    def seconds_for_each(lines: int) -> float:
        began = time.thread_time()
        for _ in range(lines):
            ours.info("succeeded", job=job, kind="email.send", attempt=1, seconds=0.012)
        return (time.thread_time() - began) / lines

    assert min(seconds_for_each(50) for _ in range(60)) < 20e-6


def _forget_what_loggers_cached() -> None:
    """They keep the configuration of their first line, and tests have several."""
    for module in list(sys.modules.values()):
        ours = getattr(module, "log", None)
        if isinstance(ours, type(structlog.get_logger())):
            vars(ours).pop("bind", None)


def _divide_with_a_secret() -> None:
    secret = "".join(["hunt", "er2"])
    try:
        assert len(secret) / 0
    except ZeroDivisionError:
        structlog.stdlib.get_logger().exception("failed", user="anna")


def _lines(stderr: io.StringIO, expected: int) -> list[dict[str, Any]]:
    wait_for("all lines", lambda: stderr.getvalue().count("\n") >= expected)
    return [json.loads(line) for line in stderr.getvalue().splitlines()]

"""The traces of one request and of all that follows from it, as a collector gets them."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pika
import psycopg
import pytest

from dev.ports import free_port
from tests.support.network.deaf import deaf_server
from tests.support.outside.collector import Collector, Span, Spans, collector
from tests.support.service.process import DULY, Process
from tests.support.service.traced_app import KINDS, NEWS
from tests.support.wait import wait_for

SECRET = "the-text-of-a-payload"
CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
TRACEPARENT = "00-{}-{}-01".format(*CALLER)
JOBS = 6
"""One that begins, one that follows, two members, their callback, and one of the message."""
ATTEMPTS = JOBS + 1
Log = list[dict[str, Any]]


class Shop:
    """The processes of the traced app."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        arguments = {
            "api": ("api", "--port", str(self.port)),
            "relay": ("relay",),
            "worker": ("worker",),
        }
        self.processes = {
            name: Process(folder / name, environment, given) for name, given in arguments.items()
        }

    def start(self) -> None:
        """Start all, and wait until the API answers."""
        for process in self.processes.values():
            process.start()
        wait_for("the API answers", self.answers)

    def answers(self) -> bool:
        """Whether the API is there."""
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/healthz").is_success
        except httpx2.TransportError:
            return False

    def stop(self) -> None:
        """End all in order: each sends the spans that it has left."""
        for process in self.processes.values():
            process.terminate()
        assert [process.wait() for process in self.processes.values()] == [0, 0, 0]

    def lines(self, name: str) -> Log:
        """The log of a process."""
        text = self.processes[name].log
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.fixture
def queues(alone: None, amqp_url: str) -> None:
    """The queues of the app, empty."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    for queue in (*KINDS.queues, NEWS):
        channel.queue_delete(queue)
    channel.queue_declare(NEWS, durable=True)
    connection.close()


@pytest.fixture
def api_key(environment: dict[str, str]) -> str:
    """A key that may submit."""
    create = [*DULY, "keys", "create", "--name", "test", "--scopes", "submit"]
    return subprocess.check_output(create, env=environment, text=True).strip()


@pytest.fixture
def target() -> Iterator[Collector]:
    """Where the spans go."""
    with collector() as running:
        yield running


@pytest.fixture
def environment(queues: None, app_database_url: str, amqp_url: str, target: Collector) -> Any:
    """Traces are on, with OpenTelemetry's own variables."""
    return os.environ | {
        "DATABASE_URL": app_database_url,
        "AMQP_URL": amqp_url,
        "DULY_APP": "tests.support.service.traced_app:duly",
        "DULY_LOG_FORMAT": "json",
        "DULY_TRACES": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": target.url,
        "OTEL_SEMCONV_STABILITY_OPT_IN": "messaging",
    }


@pytest.fixture
def shop(tmp_path: Path, environment: dict[str, str]) -> Iterator[Shop]:
    """The processes, with nothing started yet."""
    shop = Shop(tmp_path, environment)
    yield shop
    for process in shop.processes.values():
        if process.is_alive:
            process.kill()
        process.report()


def tell_the_story(shop: Shop, database_url: str, key: str) -> None:
    """Submit the job that begins, and wait until all that follows has succeeded."""
    shop.start()
    answer = httpx2.post(
        f"http://127.0.0.1:{shop.port}/v1/jobs",
        json={"kind": "story.begin", "payload": {"text": SECRET}},
        headers={"Authorization": f"Bearer {key}", "traceparent": TRACEPARENT},
    )
    assert answer.status_code == 202, answer.text
    with psycopg.connect(database_url, autocommit=True) as database:
        ended = "SELECT count(*) FROM duly.jobs WHERE state = 'succeeded'"
        wait_for("all has ended", lambda: database.execute(ended).fetchone() == (JOBS,))
    shop.stop()


def test_a_request_and_all_that_follows_from_it_is_traced(
    shop: Shop, app_database_url: str, target: Collector, api_key: str, amqp_url: str
) -> None:
    tell_the_story(shop, app_database_url, api_key)
    spans, broker = target.spans, pika.URLParameters(amqp_url)

    (created,) = spans.of("create traced", duly_job_kind="story.begin")
    assert (created.service, created.kind) == ("duly-api", "PRODUCER")
    (request,) = spans.of("POST /v1/jobs")
    assert (request.kind, request.parent) == ("SERVER", CALLER)
    assert created.trace_id == request.trace_id

    failed, done = in_order(spans.of("process traced", duly_job_kind="story.begin"))
    for attempt in (failed, done):
        assert (attempt.service, attempt.kind, attempt.parent_id) == ("duly-worker", "CONSUMER", "")
        assert attempt.linked("creation") == [created.context]
        assert attempt.trace_id != created.trace_id
    assert failed.linked("attempt_before") == []
    assert done.linked("attempt_before") == [failed.context]
    assert (failed.is_error, failed.attributes["error.type"]) == (True, "LookupError")
    assert (done.is_error, done.attributes["duly.job.outcome"]) == (False, "succeeded")
    assert failed.attributes["duly.job.outcome"] == "failed"

    follow_up(spans, done, "story.follow", "traced-tasks")
    follow_up(spans, done, "story.settled", "traced")
    members = follow_up(spans, done, "story.member", "traced", attempts=2)
    assert members.attributes["messaging.batch.message_count"] == 2
    (message,) = spans.of(f"create {NEWS}")
    assert message.parent == done.context
    (heard,) = spans.of("create traced", duly_job_kind="story.heard")
    assert heard.parent == message.context
    (hearing,) = spans.of("process traced", duly_job_kind="story.heard")
    assert hearing.linked("creation") == [heard.context]

    server = {"server.address": broker.host, "server.port": broker.port}
    check_names(created, done, server)
    check_sends(list(spans), created, server)
    assert len([span for span in spans if span.kind == "CONSUMER"]) == ATTEMPTS
    assert not any(SECRET.encode() in body for body in spans.bodies)
    assert not any(span.message or span.events for span in spans)
    check_logs(shop, created, failed, done)


def test_baggage_of_a_request_does_not_go_on_to_other_services(shop: Shop) -> None:
    shop.processes = {"api": shop.processes["api"]}
    shop.start()
    sent = {"traceparent": TRACEPARENT, "baggage": f"user={SECRET}"}
    onward = httpx2.get(f"http://127.0.0.1:{shop.port}/onward", headers=sent)
    assert onward.json().keys() == {"traceparent"}
    assert CALLER[0] in onward.json()["traceparent"]


@pytest.mark.slow
def test_without_traces_nothing_is_written_or_sent(
    shop: Shop,
    environment: dict[str, str],
    app_database_url: str,
    target: Collector,
    api_key: str,
) -> None:
    del environment["DULY_TRACES"]
    tell_the_story(shop, app_database_url, api_key)
    assert target.spans.bodies == []
    with psycopg.connect(app_database_url) as database:
        written = "SELECT count(*) FROM duly.jobs WHERE num_nonnulls(trace, attempt_trace) > 0"
        assert database.execute(written).fetchone() == (0,)
    logs = [line for name in shop.processes for line in shop.lines(name)]
    assert logs
    assert not any("trace_id" in line for line in logs)


@pytest.mark.slow
@pytest.mark.parametrize("collector_is", ["gone", "silent"])
def test_a_collector_that_takes_nothing_costs_nothing_but_the_spans(
    shop: Shop,
    environment: dict[str, str],
    app_database_url: str,
    api_key: str,
    collector_is: str,
) -> None:
    with deaf_server() as silent:
        port = silent if collector_is == "silent" else free_port()
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        tell_the_story(shop, app_database_url, api_key)
    assert not any("Traceback" in process.log for process in shop.processes.values())


def in_order(spans: list[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.attributes["duly.job.attempt"])


def follow_up(spans: Spans, parent: Span, kind: str, queue: str, *, attempts: int = 1) -> Span:
    """The creation of what followed in that attempt, to which its own attempts are linked."""
    (created,) = spans.of(f"create {queue}", duly_job_kind=kind)
    assert created.parent == parent.context
    processed = spans.of(f"process {queue}", duly_job_kind=kind)
    assert [each.linked("creation") for each in processed] == [[created.context]] * attempts
    return created


def check_names(created: Span, done: Span, server: dict[str, Any]) -> None:
    """The names of the semantic conventions."""
    job = created.attributes["messaging.message.conversation_id"]
    told = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "traced",
        "messaging.rabbitmq.destination.routing_key": "traced",
        "messaging.message.conversation_id": job,
    }
    create = {"messaging.operation.name": "create", "messaging.operation.type": "create"}
    assert created.attributes.items() >= (told | create).items()
    process = {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    process |= {"messaging.message.id": f"{job}.2"} | server
    assert done.attributes.items() >= (told | process).items()
    assert created.schema == done.schema == "https://opentelemetry.io/schemas/1.44.0"


def check_sends(spans: list[Span], created: Span, server: dict[str, Any]) -> None:
    """Each batch of the relay, for jobs and messages, and the jobs that were in it."""
    sends = [span for span in spans if span.kind == "CLIENT"]
    assert {span.service for span in sends} == {"duly-relay"}
    assert {span.attributes["messaging.operation.type"] for span in sends} == {"send"}
    assert all(span.attributes.items() >= server.items() for span in sends)
    counts = [span.attributes["messaging.batch.message_count"] for span in sends]
    assert sum(counts) == ATTEMPTS + 1
    assert created.context in [each for span in sends for each in span.linked("creation")]


def check_logs(shop: Shop, created: Span, *attempts: Span) -> None:
    """Log lines have the trace and the span in which they were written."""
    requests = [line for line in shop.lines("api") if line["event"] == "request"]
    traces = {line["route"]: line.get("trace_id") for line in requests}
    assert traces == {"/healthz": None, "/v1/jobs": created.trace_id}
    events = [
        (line["event"], line["trace_id"], line["span_id"])
        for line in shop.lines("worker")
        if line.get("kind") == "story.begin"
    ]
    told = ("failed, will retry", "succeeded")
    assert events == [(event, *of.context) for event, of in zip(told, attempts, strict=True)]

"""A worker killed as it delivers a webhook: it comes again under its id, and is on record."""

from contextlib import closing
from http.server import BaseHTTPRequestHandler
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import submit
from outbox.operations import jobs
from service.webhooks.kinds import DELIVER_WEBHOOK
from service.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.support.engine.rabbit import Rabbit
from tests.support.outside.arrivals import webhook_ids
from tests.support.outside.receiver import status
from tests.support.wait import wait_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def event(line: Line, engine: Engine, amqp_url: str) -> UUID:
    """The job of an event for the receiver, which the service's own actors deliver."""
    del line.environment["DULY_ACTORS"]
    line.environment["DULY_WEBHOOKS_MAY_REACH_PRIVATE"] = "true"
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.delete(DELIVER_WEBHOOK.queue)
    with Session(engine) as session, session.begin():
        endpoint = WebhookEndpoint(url=line.receiver.url, events=["*"], secret=SECRET)
        session.add(endpoint)
        session.flush()
        return submit(session, DELIVER_WEBHOOK(endpoint_id=endpoint.id, event="a.b", data={})).id


@points(moments.DELIVERED, "webhook answered but not on record")
def test_as_it_arrives(moment: Moment, line: Line, event: UUID, engine: Engine) -> None:
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    assert _attempts(engine, event) == [(2, 204)]
    arrived = 1 if moment.name == "webhook not sent" else 2
    assert webhook_ids(line.receiver.deliveries) == [str(event)] * arrived
    assert len({delivery.body for delivery in line.receiver.deliveries}) == 1


@points(moments.UNDELIVERED)
def test_as_it_fails(moment: Moment, line: Line, event: UUID, engine: Engine) -> None:
    def fail_once(request: BaseHTTPRequestHandler) -> None:
        status(500 if len(line.receiver.deliveries) == 1 else 204)(request)

    line.receiver.answer = fail_once
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    first = [] if moment.name == "failed webhook not committed" else [(1, 500)]
    assert _attempts(engine, event) == [*first, (2, 204)]
    assert webhook_ids(line.receiver.deliveries) == [str(event)] * 2


def _attempts(engine: Engine, event: UUID) -> list[tuple[int, int]]:
    """Number and status of each attempt on record, once the event has arrived."""

    def succeeded() -> bool:
        with Session(engine) as session:
            job = jobs.get(session, event)
        return job is not None and job.state == "succeeded"

    wait_for("it has arrived", succeeded)
    with Session(engine) as session:
        found = session.get_one(WebhookDelivery, event)
    assert found.delivered_at is not None
    return [(each["attempt"], each["status"]) for each in found.attempts]

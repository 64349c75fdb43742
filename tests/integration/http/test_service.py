"""What the service has, and how it is doing: kinds, queues and workers."""

import json
from datetime import UTC, datetime

import httpx2
import psycopg
from openapi_schema_validator import OAS31Validator
from sqlalchemy.orm import Session

from outbox import Priority, submit
from outbox.store import transitions
from service.mail.kinds import SEND_EMAIL
from service.subjects import KINDS
from tests.support.service import lives

MAIL = SEND_EMAIL(to="ada@example.com", subject="Hello", text="Good morning.")


def test_each_kind_says_what_it_takes_and_who_may_submit_it(
    lasting_client: httpx2.Client,
) -> None:
    kinds = {each["name"]: each for each in lasting_client.get("/v1/kinds").json()["kinds"]}

    assert list(kinds) == sorted(KINDS)
    assert [name for name, kind in kinds.items() if kind["open_to_clients"]] == [
        *("email.send", "webhook.deliver")
    ]
    schema = kinds["email.send"].pop("payload_schema")
    assert kinds["email.send"] == {
        "name": "email.send",
        "queue": "email",
        "priority": "normal",
        "open_to_clients": True,
        "attempts": 8,
        "time_limit_seconds": 720,
        "sensitive": ["to", "text", "html", "reply_to"],
        "owner": "messaging",
        "idempotency": "the same Message-ID; an uncertain answer is tried once more",
        "unique": None,
    }
    valid = MAIL.payload.model_dump(mode="json")
    assert OAS31Validator(schema).is_valid(valid)
    assert not OAS31Validator(schema).is_valid({**valid, "cc": "b@example.com"})


def test_queues_count_their_jobs_by_state(
    client: httpx2.Client, session: Session, sql_now: psycopg.Connection
) -> None:
    for priority in (Priority.HIGH, Priority.LOW, Priority.LOW):
        submit(session, MAIL, priority=priority)
    submit(session, MAIL, run_at=datetime(2100, 1, 1, tzinfo=UTC))
    running, dead = submit(session, MAIL), submit(session, MAIL)
    session.commit()
    for job in (running, dead):
        sql_now.execute("DELETE FROM duly.outbox_events WHERE job_id = %s", [job.id])
    lives.claim(sql_now, str(running.id))
    lives.die(sql_now, lives.claim(sql_now, str(dead.id)))

    queues = {each["name"]: each for each in client.get("/v1/queues").json()["queues"]}

    assert list(queues) == KINDS.queues
    assert queues["email"].pop("oldest_seconds") < 60
    assert queues["email"].pop("oldest_queued_seconds") < 60
    assert queues["email"] == {
        "name": "email",
        "due": 3,
        "high": 1,
        "normal": 0,
        "low": 2,
        "held": 0,
        "scheduled": 1,
        "published": 0,
        "queued": 4,
        "running": 1,
        "work": 4,
        "overdue": 1,  # its worker has no heartbeat
        "dead": 1,
        "workers": 0,
        "paused": None,
        "estimated": [],
    }


def test_a_worker_is_alive_while_its_heartbeat_is_recent(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    for name in ("w1", "w2"):
        beat = {
            "name": name,
            "queues": json.dumps(["email"]),
            "threads": 8,
            "tasks": 50,
            "code": None,
        }
        sql_now.execute(transitions.RECORD_HEARTBEAT, beat)
    sql_now.execute(
        "UPDATE duly.workers SET heartbeat_at = now() - interval '1 hour' WHERE name = 'w2'"
    )

    alive, silent = client.get("/v1/workers").json()["workers"]

    assert alive.pop("silent_seconds") < 10
    assert alive == {"name": "w1", "queues": ["email"], "threads": 8, "tasks": 50, "alive": True}
    assert (silent["name"], silent["alive"]) == ("w2", False)
    assert 3600 <= silent["silent_seconds"] < 3700

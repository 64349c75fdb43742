"""A server for tests of webhooks in, with what its senders and its operator do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
from pydantic import SecretStr
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session

from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.address import sqlalchemy_url
from tests.support.outside import senders
from tests.support.service.serving import serve, settings_for


@dataclass(frozen=True)
class Hooks:
    """A running API that knows Stripe's secrets, and the source `crm`."""

    operator: httpx2.Client
    """With all scopes."""
    admin: httpx2.Client
    """With all scopes but `payloads`."""
    sender: httpx2.Client
    database: psycopg.Connection
    database_url: str

    def from_stripe(self, body: bytes, **signed: Any) -> httpx2.Response:
        """Deliver a body that Stripe has signed."""
        return self.send("stripe", body, senders.stripe_headers(body, **signed))

    def from_crm(self, body: bytes, event_id: str, **signed: Any) -> httpx2.Response:
        """Deliver a body that the source `crm` has signed."""
        return self.send("crm", body, senders.standard_headers(body, event_id, **signed))

    def send(self, source: str, body: bytes, headers: Any) -> httpx2.Response:
        """Deliver a body with any headers."""
        return self.sender.post(f"/v1/hooks/{source}", content=body, headers=headers)

    def stored(self, event_id: str) -> list[tuple[Any, ...]]:
        """Source, type, payload and job of the events with this id."""
        query = "SELECT source, type, payload, job_id FROM hook_events WHERE event_id = %s"
        return self.database.execute(f"{query} ORDER BY source", [event_id]).fetchall()

    def jobs(self, intent_id: str) -> list[Any]:
        """The jobs about this PaymentIntent."""
        query = "SELECT id FROM duly.jobs WHERE payload->>'intent_id' = %s"
        return [row[0] for row in self.database.execute(query, [intent_id])]


@contextmanager
def serving_hooks(database_url: str, amqp_url: str, folder: Path) -> Iterator[Hooks]:
    """Serves the API on this database while the context lasts."""
    settings = settings_for(database_url, amqp_url, folder).model_copy(
        update={
            "stripe_webhook_secrets": (SecretStr(senders.SECRET), SecretStr(senders.OLD_SECRET)),
            "largest_body": 1_000_000,
        }
    )
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with Session(engine) as session, session.begin():
        keys = [
            api_keys.create(session, "test", scopes, by="ops")
            for scopes in (list(Scope), [Scope.ADMIN])
        ]
    with_keys = [{"Authorization": f"Bearer {key}"} for key in keys]
    with (
        serve(settings) as address,
        httpx2.Client(base_url=address, headers=with_keys[0], timeout=30) as operator,
        httpx2.Client(base_url=address, headers=with_keys[1], timeout=30) as admin,
        httpx2.Client(base_url=address, timeout=30) as sender,
        psycopg.connect(database_url, autocommit=True) as database,
    ):
        operator.post("/v1/hook-sources", json={"name": "crm", "secret": senders.SECRET})
        yield Hooks(operator, admin, sender, database, database_url)


def new_id(prefix: str = "evt") -> str:
    """An id that no other test has."""
    return f"{prefix}_{uuid4().hex}"

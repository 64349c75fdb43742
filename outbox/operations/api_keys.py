"""API keys: made, listed, revoked and checked. Only a hash of the secret is kept.

A key reads `duly_<prefix>_<secret>`. The prefix may be shown and logged; it names the key. The
secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from outbox.operations import acts
from outbox.store.schema import api_keys as table

SEEN_EVERY = timedelta(minutes=1)
"""How exactly the time of a key's last use is kept."""
KEY = re.compile(r"duly_(?P<prefix>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key may do. `admin` includes the others, except `payloads`."""

    SUBMIT = "submit"
    """Submit jobs, and create what an app creates with them."""
    READ = "read"
    """See jobs, dead letters, kinds, queues, workers, and what else an app shows."""
    OPERATE = "operate"
    """Cancel jobs; replay and discard dead letters."""
    ADMIN = "admin"
    """All of these, and what else an app asks it for."""
    METRICS = "metrics"
    """Read the metrics of the API's processes."""
    PAYLOADS = "payloads"
    """See sensitive payload fields; never implied by another scope."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed, without its secret."""

    prefix: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_seen_at: datetime | None
    """When it was last used, to the minute. Best effort: a use may be missing."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request. Its text is what the records of what people did keep."""

    prefix: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        """Whether the key allows it."""
        implied = Scope.ADMIN in self.scopes and scope is not Scope.PAYLOADS
        return implied or scope in self.scopes

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


def create(
    session: Session,
    name: str,
    scopes: Collection[Scope],
    lifetime: timedelta | None = None,
    *,
    by: str,
    why: str | None = None,
) -> str:
    """Make a key and return it: the only time that it is seen. Valid after the commit.

    The same transaction records who made it, and why. Raises ValueError where `name` or `by` is
    empty: records of what the key does have its name.
    """
    acts.named(name)
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.execute(
        insert(table).values(
            prefix=prefix,
            name=name,
            secret_hash=_hash(secret),
            scopes=sorted(scopes),
            expires_at=None if lifetime is None else func.now() + lifetime,
        )
    )
    acts.record(session, "key-create", [f"key:{prefix}"], who=by, why=why)
    return f"duly_{prefix}_{secret}"


def all_keys(session: Session) -> list[ApiKey]:
    """Every key ever made, expired and revoked ones included, the newest first."""
    shown = [table.c[each.name] for each in dataclass_fields(ApiKey)]
    rows = session.execute(select(*shown).order_by(table.c.created_at.desc()))
    return [ApiKey(*row) for row in rows]


def revoke(session: Session, prefix: str, *, by: str, why: str | None = None) -> bool:
    """End a key, for good, with the commit. False where it is unknown or ended already.

    The same transaction records who ended it, and why. Raises ValueError where `by` is empty.
    """
    ended = (
        update(table)
        .where(table.c.prefix == prefix, table.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(table.c.prefix)
    )
    if session.scalar(ended) is None:
        return False
    acts.record(session, "key-revoke", [f"key:{prefix}"], who=by, why=why)
    return True


def identify(session: Session, key: str) -> Caller | None:
    """Who holds the key; None where it is malformed, unknown, wrong, expired or revoked."""
    parts = KEY.fullmatch(key)
    if parts is None:
        return None
    valid = (
        select(table.c.prefix, table.c.name, table.c.scopes, table.c.secret_hash)
        .where(table.c.prefix == parts["prefix"], table.c.revoked_at.is_(None))
        .where(table.c.expires_at.is_(None) | (table.c.expires_at > func.now()))
    )
    row = session.execute(valid).first()
    if row is None or not hmac.compare_digest(row.secret_hash, _hash(parts["secret"])):
        return None
    return Caller(row.prefix, row.name, frozenset(row.scopes))


def note_use(session: Session, prefix: str) -> None:
    """Note that the key was used now, unless that was noted within the last minute.

    True with the commit. Processes that use the same key so write it once a minute together.
    """
    is_due = table.c.last_seen_at.is_(None) | (table.c.last_seen_at <= func.now() - SEEN_EVERY)
    session.execute(
        update(table).where(table.c.prefix == prefix, is_due).values(last_seen_at=func.now())
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

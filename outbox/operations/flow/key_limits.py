"""Limits and rates of keys that people set: they hold in place of what kinds declare."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from outbox.flow.keys import LONGEST_KEY, check_limit, is_key
from outbox.flow.rates import Rate
from outbox.operations import acts
from outbox.store import transitions
from outbox.store.schema import key_limits as table
from outbox.submission.wake_up import CHANNEL, LIMITS

_NOTIFICATION = {"channel": CHANNEL, "message": LIMITS.decode()}


class NotSet(Exception):
    """Nobody has set a limit or a rate for the key; nothing was changed."""


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """What holds for a key in place of what kinds declare; None is what they do."""

    key: str
    at_most: int | None
    rate: Rate | None
    since: datetime
    who: str
    why: str | None


def find(session: Session, keys: Iterable[str]) -> dict[str, KeyLimit]:
    """What was set for those of the keys for which something was."""
    return _read(session, select(table).where(table.c.key.in_([*keys])))


def all_set(session: Session) -> dict[str, KeyLimit]:
    """All that was set: people did, so there are few."""
    return _read(session, select(table))


def _read(session: Session, query: Select[Any]) -> dict[str, KeyLimit]:
    return {
        row.key: KeyLimit(row.key, row.at_most, rate_of(row), row.since, row.who, row.why)
        for row in session.execute(query)
    }


def rate_of(row: Any) -> Rate | None:
    """The rate in a row of the table."""
    return Rate(row.permits, row.per, row.burst) if row.permits else None


def set_limit(
    session: Session,
    key: str,
    *,
    at_most: int | None = None,
    rate: Rate | None = None,
    by: str,
    why: str | None = None,
) -> KeyLimit:
    """Have a limit, a rate or both hold for a key, in place of all that was set for it before.

    Relays know within a second after the caller's commit. What runs is not stopped: below a lowered
    limit the next job starts. A pause that a receiver has asked for ends. Raises ValueError for a
    key that no job can have, for a limit that is not 1 to 1,000,000, and if there is neither.
    """
    if not is_key(key):
        raise ValueError(f"a key is 1 to {LONGEST_KEY} printable characters")
    if at_most is None and rate is None:
        raise ValueError("a limit, a rate or both have to be given")
    if at_most == 0:
        raise ValueError("at_most: 0 is no limit; to run none of a queue's jobs, pause the queue")
    if at_most is not None:
        check_limit(at_most)
    asked: dict[str, Any] = {
        "key": key,
        "at_most": at_most,
        "by": acts.named(by),
        "why": why or None,
    }
    for name in ("permits", "per", "burst"):
        asked[name] = getattr(rate, name, None)
    connection = session.connection()
    row = connection.exec_driver_sql(transitions.SET_LIMIT, asked | _NOTIFICATION).one()
    return KeyLimit(key, at_most, rate, row.since, row.who, row.why)


def clear_limit(session: Session, key: str, *, by: str, why: str | None = None) -> None:
    """Have what kinds declare hold for the key again.

    A pause that a receiver has asked for ends. Raises NotSet, and ValueError if `by` names nobody.
    """
    asked = {"key": key, "by": acts.named(by), "why": why or None, **_NOTIFICATION}
    if session.connection().exec_driver_sql(transitions.CLEAR_LIMIT, asked).first() is None:
        raise NotSet(f"nobody has set a limit of {key}")

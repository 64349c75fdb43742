"""Idempotency-Key: a repeated POST gets the answer to the first, and does nothing else.

An answer is stored in its request's transaction, so both commit or neither does.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Header
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from outbox.http.auth.scopes import current_caller
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.requests.database import Tx
from outbox.operations.api_keys import Caller

# One request at a time for each key. The snapshot may be older than the lock. Then an answer
# committed between the two is not seen here, and KEEP_ANSWER finds it.
LOCK_KEY = text("""
SELECT pg_try_advisory_xact_lock(hashtextextended(:caller || ' ' || :key, 0)) AS free,
       stored.fingerprint, stored.status, stored.headers, stored.body
FROM (SELECT) AS always_one_row
LEFT JOIN duly.idempotency_keys AS stored
       ON stored.caller = :caller AND stored.key = :key AND stored.expires_at > now()
""")

# Each stored answer deletes up to two that have expired, so the table needs no other cleanup.
STORE_ANSWER = text("""
WITH expired AS (
    SELECT caller, key FROM duly.idempotency_keys
    WHERE expires_at <= now() AND (caller, key) <> (:caller, :key)
    ORDER BY expires_at LIMIT 2
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM duly.idempotency_keys AS old USING expired
    WHERE old.caller = expired.caller AND old.key = expired.key
)
INSERT INTO duly.idempotency_keys AS stored
    (caller, key, fingerprint, status, headers, body, expires_at)
VALUES (:caller, :key, :fingerprint, :status, :headers, :body, now() + :lifetime)
ON CONFLICT (caller, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
    body = excluded.body, expires_at = excluded.expires_at
WHERE stored.expires_at <= now()
RETURNING key
""").bindparams(bindparam("headers", type_=JSONB))

QUOTED = r'"(([!#-\[\]-~]|\\["\\]){1,255})"'
KEY = rf"^({QUOTED}|[!#-~][!-~]{{0,254}})$"


class AlreadyAnswered(Exception):
    """An earlier request with this key was answered; `response` repeats its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered earlier")
        self.response = response


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key: its answer is stored under these fields."""

    caller: str
    key: str
    fingerprint: bytes


async def lock_key(
    request: Request,
    tx: Tx,
    caller: Annotated[Caller, Depends(current_caller)],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Makes the request safe to repeat: the same key with the same body gets "
            "the first answer again, marked `Idempotent-Replayed: true`. A key has 1 to 255 "
            "visible ASCII characters, in quotes or without, such as `b1f0e5c2-order-1042`.",
            json_schema_extra={"pattern": KEY},
        ),
    ] = None,
) -> None:
    """Lock the key until the transaction ends, if no request with it has been answered.

    Raises `AlreadyAnswered` with the first answer, or `Problem`: 400 for a bad key, 409 while the
    first request runs, 422 if the key was used for another request.
    """
    if idempotency_key is None:
        return
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise Problem(types.BAD_KEY, "there is more than one Idempotency-Key")
    body = await request.body()
    keyed = KeyedRequest(caller.prefix, _unquoted(idempotency_key), _fingerprint(request, body))
    stored = (await tx.execute(LOCK_KEY, {"caller": keyed.caller, "key": keyed.key})).one()
    if not stored.free:
        raise _in_flight()
    if stored.fingerprint is None:
        request.state.keyed = keyed
    elif stored.fingerprint != keyed.fingerprint:
        raise Problem(types.KEY_REUSED, "the key was used with another method, path or body")
    else:
        raise AlreadyAnswered(_replayed(stored))


async def store_answer(request: Request, session: AsyncSession, response: Response) -> None:
    """Store a successful answer in its transaction. Raises `Problem` 409 if one is stored."""
    keyed: KeyedRequest | None = getattr(request.state, "keyed", None)
    if keyed is None:
        return
    row = {
        "caller": keyed.caller,
        "key": keyed.key,
        "fingerprint": keyed.fingerprint,
        "status": response.status_code,
        "headers": dict(response.headers),
        "body": bytes(response.body),
        "lifetime": timedelta(hours=request.app.state.duly.settings.idempotency_hours),
    }
    if (await session.execute(STORE_ANSWER, row)).first() is None:
        raise _in_flight()


def _unquoted(given: str) -> str:
    """The key without the quotes that RFC 8941 puts around a string."""
    key = re.fullmatch(KEY, given.strip())
    if key is None:
        raise Problem(types.BAD_KEY, "the key is not 1 to 255 visible ASCII characters")
    return re.sub(r"\\(.)", r"\1", key[2]) if key[2] else key[1]


def _fingerprint(request: Request, body: bytes) -> bytes:
    return hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode() + body).digest()


def _in_flight() -> Problem:
    detail = "another request with the same key has not been answered yet"
    return Problem(types.IN_FLIGHT, detail, headers={"Retry-After": "1"})


def _replayed(stored: Any) -> Response:
    headers = stored.headers | {"Idempotent-Replayed": "true"}
    return Response(bytes(stored.body), stored.status, headers)

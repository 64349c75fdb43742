"""Records what callers see: with which API key, and for what reason."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from outbox.http.requests.database import Tx
from outbox.operations import acts
from outbox.operations.api_keys import Caller, Scope

LONGEST_REASON = 1000


class Why(BaseModel):
    """Why the caller does this, for the record of acts."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None


NO_REASON = Why()


# An optional body, rather than a union with null, which generated clients could not omit.
def _reason(body: Why = NO_REASON) -> str | None:
    return body.why


WhyInBody = Annotated[str | None, Depends(_reason)]
"""The reason that an optional body gives."""
WhyInQuery = Annotated[
    str | None,
    Query(
        alias="why",
        max_length=LONGEST_REASON,
        pattern=r"^[^\x00]*$",
        description="Why you do this, for the record of acts.",
    ),
]
"""The reason that an optional query parameter gives."""


async def record_look(tx: Tx, by: Caller, about: Iterable[str], why: str | None) -> None:
    """Record that the caller sees these things unredacted, if its key has the scope `payloads`.

    The record is in the request's transaction, which commits before the answer is sent: nobody
    looks unrecorded.
    """
    if by.may(Scope.PAYLOADS):
        await tx.run_sync(acts.look, about, who=str(by), why=why)

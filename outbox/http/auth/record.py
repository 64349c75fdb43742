"""What the API writes into the record of acts: the API key is who, and why is what it says."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from outbox.http.requests.database import Tx
from outbox.operations import acts
from outbox.operations.api_keys import Caller, Scope

LONGEST = 1000


class Why(BaseModel):
    """Why a person does it, for the record of acts."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(max_length=LONGEST)] | None = None


NOT_TOLD = Why()


# A body that may be left out, and no union with null: generated clients cannot leave that out.
def _told(body: Why = NOT_TOLD) -> str | None:
    return body.why


WhyTold = Annotated[str | None, Depends(_told)]
"""Why, as an optional body says it."""
WhyAsked = Annotated[
    str | None,
    Query(
        alias="why",
        max_length=LONGEST,
        pattern=r"^[^\x00]*$",
        description="Why you do it, for the record of acts.",
    ),
]
"""Why, as an optional query parameter says it."""


async def note_look(tx: Tx, by: Caller, about: Iterable[str], why: str | None) -> None:
    """Record that this caller sees these things unredacted, where its key has the scope for it.

    It is in the transaction that the answer waits for: nobody looks unrecorded.
    """
    if by.may(Scope.PAYLOADS):
        await tx.run_sync(acts.look, about, who=str(by), why=why)

"""The handler that lists the keys that jobs hold."""

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, Field

from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations.flow import limits

router = APIRouter(
    prefix="/v1/limits",
    tags=["Service"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class KeyShown(BaseModel):
    """A key that jobs hold now."""

    key: str
    at_most: int | None = Field(
        description="How many jobs of the key may run at a time; null without a limit."
    )
    running: int
    admitted: int = Field(description="Jobs that may start, on their way to a worker.")
    waiting: int = Field(description="Jobs that wait until they may start, counted up to 1,000.")


class KeyPage(BaseModel):
    """A page of keys, in order."""

    limits: list[KeyShown]
    next_cursor: str | None


@router.get(
    "",
    summary="List the keys in use",
    responses=success_doc(200, "KeyPage") | problem_docs(types.BAD_CURSOR),
)
async def list_limits(
    tx: Tx, _: Reader, platform: OnPlatform, limit: Limit = 50, cursor: Cursor = None
) -> KeyPage:
    """The keys that jobs hold now, with how many run and how many wait."""
    after = cursors.read(cursor, "limits", str)
    found = await tx.run_sync(limits.find, platform.kinds, limit=limit + 1, after=after)
    last = found[limit - 1].key if len(found) > limit else None
    shown = [KeyShown.model_validate(asdict(each)) for each in found[:limit]]
    return KeyPage(limits=shown, next_cursor=cursors.after(last, "limits"))

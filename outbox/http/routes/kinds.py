"""The handler that lists the kinds of jobs."""

from datetime import timedelta
from functools import cache
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from pydantic.errors import PydanticInvalidForJsonSchema

from outbox.flow.unique import Unique
from outbox.http.auth.scopes import Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems.problem import ANY_REQUEST
from outbox.http.requests.transaction import TransactionalRoute
from outbox.kinds import Kind, Kinds, Priority


class UniqueShown(BaseModel):
    """Which jobs of a kind are one, and for how long."""

    fields: list[str] = Field(description="The fields of the payload; none: one job of the kind.")
    until: Literal["started", "ended"] | None = Field(
        description="How long a job holds its key; null if it is `within_seconds`."
    )
    within_seconds: float | None = Field(description="How long after it was submitted.")
    debounce_seconds: float | None = Field(
        description="How long a job waits for another submission, which replaces its payload."
    )
    cap_seconds: float | None = Field(description="The longest that it waits for those.")

    @classmethod
    def of(cls, unique: Unique) -> "UniqueShown":
        """What a kind is unique by, as clients see it."""
        return cls(
            fields=[*unique.fields],
            until=unique.until.value if unique.until else None,
            within_seconds=_seconds(unique.within),
            debounce_seconds=_seconds(unique.debounce),
            cap_seconds=_seconds(unique.cap),
        )


class KindShown(BaseModel):
    """A kind of job."""

    name: str
    queue: str
    priority: Literal["high", "normal", "low"] = Field(
        description="Of jobs that are submitted without a priority."
    )
    open_to_clients: bool = Field(description="Whether `POST /v1/jobs` accepts it.")
    attempts: int = Field(description="How often a job runs before it is dead.")
    time_limit_seconds: float = Field(description="How long one attempt may take.")
    sensitive: list[str] = Field(description="Fields of the payload that are redacted.")
    unique: UniqueShown | None = Field(
        description="Which jobs of the kind are one: a second one becomes the first."
    )
    owner: str | None = Field(description="Who mends the kind: a team, or its address.")
    idempotency: str | None = Field(description="Why a second attempt does no harm.")
    payload_schema: dict[str, Any] | None = Field(
        description="JSON schema of the payload; null if pydantic cannot describe it."
    )

    @classmethod
    def of(cls, kind: Kind[..., Any], *, is_open: bool) -> "KindShown":
        """The kind as clients see it."""
        shown = {
            "name": kind.name,
            "queue": kind.queue,
            "priority": Priority(kind.priority).name.lower(),
            "open_to_clients": is_open,
            "attempts": kind.retry.attempts,
            "time_limit_seconds": kind.time_limit.total_seconds(),
            "sensitive": kind.sensitive,
            "unique": UniqueShown.of(kind.unique) if kind.unique else None,
            "owner": kind.owner,
            "idempotency": kind.idempotency,
            "payload_schema": _schema(kind.model),  # type: ignore[arg-type] # mypy: unhashable
        }
        return cls.model_validate(shown)


class KindList(BaseModel):
    """All kinds, in order of their names."""

    kinds: list[KindShown]


def create_router(open_kinds: Kinds) -> APIRouter:
    """A router whose only handler lists the app's kinds. Clients may submit `open_kinds`."""
    router = APIRouter(
        prefix="/v1/kinds",
        tags=["Service"],
        route_class=TransactionalRoute,
        responses=problem_docs(*ANY_REQUEST),
    )

    @router.get("", summary="List kinds of jobs", responses=success_doc(200, "KindList"))
    async def list_kinds(_: Reader, platform: OnPlatform) -> KindList:
        """The kinds of jobs that the service knows, each with what its payload has to be."""
        found = sorted(platform.kinds.values(), key=lambda kind: kind.name)
        return KindList(kinds=[KindShown.of(k, is_open=k.name in open_kinds) for k in found])

    return router


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any] | None:
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema:
        return None

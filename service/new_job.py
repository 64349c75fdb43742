"""Jobs as the API takes them: each kind with a payload of its own."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import tagged_union_schema

from outbox import Kind, Priority, Work
from service.kinds import OPEN_TO_CLIENTS
from service.moments import Moment

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
BEFORE_LATEST = "^(0|1|20|21)[0-9]"


def _open_kind(kind: str) -> str:
    if kind not in OPEN_TO_CLIENTS:
        raise ValueError(f"is no kind open to clients; these are: {', '.join(OPEN_TO_CLIENTS)}")
    return kind


def _before_latest(moment: datetime) -> datetime:
    if moment >= LATEST:
        raise ValueError(f"must be before the year {LATEST.year}")
    return moment


class _AnyNewJob(BaseModel):
    """What all kinds of new jobs have in common."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, AfterValidator(_open_kind), Field(examples=["email.send"])]
    payload: Annotated[dict[str, Any], Field(max_length=100)]
    run_at: (
        Annotated[
            Moment,
            AfterValidator(_before_latest),
            Field(json_schema_extra={"pattern": BEFORE_LATEST}),
        ]
        | None
    ) = None
    priority: Literal["high", "normal", "low"] | None = None


def _of_kind(kind: Kind[..., Any]) -> type[_AnyNewJob]:
    """A new job whose payload is the kind's, for OpenAPI."""
    own: dict[str, Any] = {"kind": (Literal[kind.name], ...), "payload": (kind.model, ...)}
    name, doc = f"New{kind.model.__name__}", kind.model.__doc__
    return create_model(name, __base__=_AnyNewJob, __doc__=doc, **own)


_OF_EACH_KIND = tagged_union_schema(
    {kind.name: _of_kind(kind).__pydantic_core_schema__ for kind in OPEN_TO_CLIENTS.values()},
    discriminator="kind",
)


class NewJob(_AnyNewJob):
    """A job to submit. A `run_at` in the past means now; `priority` is the kind's own if absent."""

    # No union of the models below: its errors would have the kind in the paths of their fields.

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """One schema for each open kind; `kind` says which one applies."""
        return {"title": cls.__name__, "description": cls.__doc__, **handler(_OF_EACH_KIND)}

    def work(self) -> Work[Any]:
        """The kind with its payload. Raises RequestValidationError, as FastAPI does for a body."""
        try:
            return OPEN_TO_CLIENTS[self.kind].parse(self.payload)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            located = [{**each, "loc": ("body", "payload", *each["loc"])} for each in found]
            raise RequestValidationError(located) from None

    def held_back_until(self) -> datetime | None:
        """When to run it; None for now."""
        return self.run_at if self.run_at and self.run_at > datetime.now(UTC) else None

    def level(self) -> Priority | None:
        """The priority; None for the kind's own."""
        return Priority[self.priority.upper()] if self.priority else None

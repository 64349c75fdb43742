"""Jobs as the API accepts them, each kind with its own payload."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import tagged_union_schema

from outbox.http.routes.moments import Moment
from outbox.kinds import Kind, Kinds, Priority, Work

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
BEFORE_LATEST = "^(0|1|20|21)[0-9]"


def _before_latest(moment: datetime) -> datetime:
    if moment >= LATEST:
        raise ValueError(f"must be before the year {LATEST.year}")
    return moment


StorableMoment = Annotated[
    Moment, AfterValidator(_before_latest), Field(json_schema_extra={"pattern": BEFORE_LATEST})
]


class AnyNewJob(BaseModel):
    """A job to submit. A `run_at` in the past means now; `priority` defaults to the kind's own.

    If it has not begun by `expires_at` it is cancelled; a moment in the past means at once.
    """

    # Not a union of the models of all kinds: its errors would have the kind in the paths of fields.
    # OpenAPI describes a union nevertheless.

    model_config = ConfigDict(extra="forbid")
    open_kinds: ClassVar[Kinds] = Kinds()

    kind: str
    payload: Annotated[dict[str, Any], Field(max_length=100)]
    run_at: StorableMoment | None = None
    expires_at: StorableMoment | None = None
    priority: Literal["high", "normal", "low"] | None = None

    @field_validator("expires_at")
    @classmethod
    def _after_run_at(cls, expires_at: datetime | None, others: ValidationInfo) -> datetime | None:
        run_at = others.data.get("run_at")
        if expires_at and run_at and expires_at <= run_at:
            raise ValueError("must be later than run_at")
        return expires_at

    def work(self) -> Work[Any]:
        """The kind with its payload. Raises RequestValidationError, as FastAPI does for a body."""
        try:
            work = self.open_kinds[self.kind].parse(self.payload)
            work.keys()
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            located = [{**each, "loc": ("body", "payload", *each["loc"])} for each in found]
            raise RequestValidationError(located) from None
        except ValueError as error:
            wrong = {"type": "value_error", "loc": ("body", "payload"), "msg": str(error)}
            raise RequestValidationError([wrong]) from None
        return work

    def future_run_at(self) -> datetime | None:
        """`run_at` if it is in the future, else None."""
        return self.run_at if self.run_at and self.run_at > datetime.now(UTC) else None

    def future_expires_at(self) -> datetime | None:
        """`expires_at`, or now if that is in the past."""
        return max(self.expires_at, datetime.now(UTC)) if self.expires_at else None

    def level(self) -> Priority | None:
        """The priority; None for the kind's own."""
        return Priority[self.priority.upper()] if self.priority else None


def new_job(kinds: Kinds) -> type[AnyNewJob]:
    """The model of a job that clients may submit, which must be of one of these kinds."""

    def open_kind(kind: str) -> str:
        if kind not in kinds:
            raise ValueError(f"is not a kind open to clients; these are: {', '.join(kinds)}")
        return kind

    class NewJob(AnyNewJob):
        open_kinds: ClassVar[Kinds] = kinds
        kind: Annotated[str, AfterValidator(open_kind)]

        @classmethod
        def __get_pydantic_json_schema__(
            cls, _: CoreSchema, handler: GetJsonSchemaHandler
        ) -> JsonSchemaValue:
            """One schema for each open kind; `kind` says which one applies."""
            described = handler(_union(kinds))
            return {"title": cls.__name__, "description": cls.__doc__, **described}

    NewJob.__doc__ = AnyNewJob.__doc__
    return NewJob


def _union(kinds: Kinds) -> CoreSchema:
    of_each = {name: _of_kind(kind).__pydantic_core_schema__ for name, kind in kinds.items()}
    return tagged_union_schema(of_each, discriminator="kind")


def _of_kind(kind: Kind[..., Any]) -> type[AnyNewJob]:
    """The model of a new job of this kind, for OpenAPI."""
    own: dict[str, Any] = {"kind": (Literal[kind.name], ...), "payload": (kind.model, ...)}
    name, doc = f"New{kind.model.__name__}", kind.model.__doc__
    return create_model(name, __base__=AnyNewJob, __doc__=doc, **own)

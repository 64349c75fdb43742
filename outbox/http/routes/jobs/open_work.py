"""Work of a kind that is open to clients, each kind with its own payload."""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

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

from outbox.kinds import Kind, Kinds, Work


class OpenWork(BaseModel):
    """A kind with its payload."""

    # Not a union of the models of all kinds: its errors would have the kind in the paths of fields.
    # OpenAPI describes a union nevertheless.

    model_config = ConfigDict(extra="forbid")
    open_kinds: ClassVar[Kinds] = Kinds()

    kind: str
    payload: Annotated[dict[str, Any], Field(max_length=100)]

    def work(self, *at: str | int) -> Work[Any]:
        """The kind with its payload, which stands at this place of the body.

        Raises RequestValidationError, as FastAPI does for a body.
        """
        try:
            work = self.open_kinds[self.kind].parse(self.payload)
            work.keys()
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            located = [{**each, "loc": ("body", *at, "payload", *each["loc"])} for each in found]
            raise RequestValidationError(located) from None
        except ValueError as error:
            wrong = {"type": "value_error", "loc": ("body", *at, "payload"), "msg": str(error)}
            raise RequestValidationError([wrong]) from None
        return work


M = TypeVar("M", bound=OpenWork)


def restricted(base: type[M], name: str, of_kind: str, kinds: Kinds) -> type[M]:
    """The model of this name that takes only these kinds; for OpenAPI each has its own.

    A kind's own model is called `of_kind` and then as its payload is.
    """

    def open_kind(kind: str) -> str:
        if kind not in kinds:
            raise ValueError(f"is not a kind open to clients; these are: {', '.join(kinds)}")
        return kind

    class Restricted(base):  # type: ignore[valid-type,misc]
        open_kinds: ClassVar[Kinds] = kinds
        kind: Annotated[str, AfterValidator(open_kind)]

        @classmethod
        def __get_pydantic_json_schema__(
            cls, _: CoreSchema, handler: GetJsonSchemaHandler
        ) -> JsonSchemaValue:
            """One schema for each open kind; `kind` says which one applies."""
            described = handler(_union(base, of_kind, kinds))
            return {"title": name, "description": base.__doc__, **described}

    return create_model(name, __base__=Restricted, __doc__=base.__doc__)


def _union(base: type[OpenWork], of_kind: str, kinds: Kinds) -> CoreSchema:
    of_each = {
        name: _of_kind(base, of_kind, kind).__pydantic_core_schema__ for name, kind in kinds.items()
    }
    return tagged_union_schema(of_each, discriminator="kind")


def _of_kind(base: type[OpenWork], of_kind: str, kind: Kind[..., Any]) -> type[OpenWork]:
    """The model for work of this kind, for OpenAPI."""
    own: dict[str, Any] = {"kind": (Literal[kind.name], ...), "payload": (kind.model, ...)}
    name, doc = f"{of_kind}{kind.model.__name__}", kind.model.__doc__
    return create_model(name, __base__=base, __doc__=doc, **own)

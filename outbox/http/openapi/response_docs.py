"""Describes responses in OpenAPI: their headers, and an example of each."""

from collections.abc import Iterator, Mapping
from typing import Any

from outbox.http.openapi.answer_examples import ANSWERS
from outbox.http.problems.problem import MEDIA_TYPE, FieldError, ProblemBody
from outbox.http.problems.types import (
    IN_FLIGHT,
    INVALID,
    NOT_READY,
    OUTCOME_UNKNOWN,
    PROBLEM_TYPES,
    UNAUTHENTICATED,
    UNAVAILABLE,
    ProblemType,
)

Responses = dict[int | str, dict[str, Any]]

HEADERS = {
    "X-Request-Id": {
        "description": "The id of the request, which is also in the log of the service: the "
        "request's own X-Request-Id if that is a UUID, else a new one.",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The path of what the request created.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {
        "description": "Its version, to be sent as If-Match.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "const": "Bearer"},
    },
    "Idempotent-Replayed": {
        "description": "Present if this repeats the answer to an earlier request with this key.",
        "schema": {"type": "string", "const": "true"},
    },
}
HEADER_OF = {
    UNAUTHENTICATED: "WWW-Authenticate",
    IN_FLIGHT: "Retry-After",
    NOT_READY: "Retry-After",
    UNAVAILABLE: "Retry-After",
    OUTCOME_UNKNOWN: "Retry-After",
}


def success_doc(status: int, example: str, *headers: str) -> Responses:
    """An answer for FastAPI's `responses`, with the named example and headers."""
    content = {"application/json": {"examples": _refer("examples", example)}}
    return {status: {"content": content, "headers": _refer("headers", *headers)}}


def problem_docs(*problem_types: ProblemType) -> Responses:
    """The problems for FastAPI's `responses`; those with the same status share an entry."""
    by_status: dict[int | str, list[ProblemType]] = {}
    for each in problem_types:
        by_status.setdefault(each.status, []).append(each)
    return {status: _one_of(types) for status, types in by_status.items()}


def complete(described: dict[str, Any], answers: Mapping[str, Any]) -> None:
    """Add to an OpenAPI description what its responses refer to.

    `answers` are example answers of the app's own routes.
    """
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    components = described["components"]
    components["schemas"].update(schema.pop("$defs"), ProblemBody=schema)
    components["headers"] = HEADERS
    # Added only here, because FastAPI removes null values from examples.
    components["examples"] = {
        name: {"value": value} for name, value in {**ANSWERS, **answers}.items()
    } | {name: _example(type_) for name, type_ in PROBLEM_TYPES.items()}


def add_headers(described: dict[str, Any]) -> None:
    """Add the headers that the request's id and the Idempotency-Key add to answers."""
    for operation, status, response in _responses(described):
        headers = response.setdefault("headers", {})
        headers.update(_refer("headers", "X-Request-Id"))
        names = {each.get("name") for each in operation.get("parameters", ())}
        if "Idempotency-Key" in names and status.startswith("2"):
            headers.update(_refer("headers", "Idempotent-Replayed"))


def _one_of(problem_types: list[ProblemType]) -> dict[str, Any]:
    texts = [f"{each.title} (`{each.uri}`)" for each in problem_types]
    media_type = {
        "schema": {"$ref": "#/components/schemas/ProblemBody"},
        "examples": _refer("examples", *(each.name for each in problem_types)),
    }
    return {
        "description": "; ".join(texts),
        "content": {MEDIA_TYPE: media_type},
        "headers": _refer("headers", *(HEADER_OF[e] for e in problem_types if e in HEADER_OF)),
    }


def _refer(section: str, *names: str) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/{section}/{name}"} for name in names}


def _example(type_: ProblemType) -> dict[str, Any]:
    wrong = FieldError(field="payload.to", message="value is not a valid email address")
    body = ProblemBody(
        type=type_.uri,
        title=type_.title,
        status=type_.status,
        detail=type_.meaning,
        errors=[wrong] if type_ is INVALID else None,
    )
    return {"summary": type_.title, "value": body.model_dump(exclude_none=True)}


def _responses(described: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                yield operation, status, response

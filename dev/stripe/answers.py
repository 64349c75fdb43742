"""What the server answers: objects, and errors with the bodies that Stripe's have."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with a JSON body."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    is_kept: bool = True
    """Whether it is repeated to the same Idempotency-Key: once the work has begun, whatever came
    of it, but no refusal of the request itself."""


class Refusal(Exception):
    """Raised to answer with an error."""

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        is_kept: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        error = {"type": type_, "message": message, **more}
        self.answer = Answer(status, {"error": error}, headers or {}, is_kept)


def bad_request(message: str, code: str | None = None, **more: Any) -> Refusal:
    """The request is wrong, or the object's state does not allow it."""
    return Refusal(400, "invalid_request_error", message, code=code, **more)


def not_found(what: str, id_: str, param: str = "intent") -> Refusal:
    """There is no such object."""
    message = f"No such {what}: '{id_}'"
    status = 400 if param == "payment_method" else 404
    return Refusal(status, "invalid_request_error", message, code="resource_missing", param=param)


def unauthorized() -> Refusal:
    """The key is wrong."""
    return Refusal(401, "invalid_request_error", "Invalid API Key provided: sk_****")


def too_many(retry_after: float | None) -> Refusal:
    """The account's rate is exceeded."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    message = "Too many requests hit the API too quickly."
    return Refusal(429, "invalid_request_error", message, code="rate_limit", headers=headers)


def broken() -> Refusal:
    """Something went wrong in the server. The answer is kept for the key, as Stripe does."""
    return Refusal(500, "api_error", "An unknown error occurred", is_kept=True)


def key_in_use() -> Refusal:
    """An earlier request with the same key still runs."""
    message = "There is currently another in-progress request using this Idempotent Key"
    return Refusal(409, "idempotency_error", message, code="idempotency_key_in_use")


def key_reused() -> Refusal:
    """The key was used with other parameters."""
    message = "Keys for idempotent requests can only be used with the same parameters"
    return Refusal(400, "idempotency_error", message)

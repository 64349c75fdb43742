"""Everything that can be wrong with a request, by the names that clients may rely on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One sort of problem; `meaning` says what to do about it."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The problem's `type`, and where the service documents it."""
        return f"/problems/{self.name}"


MALFORMED = ProblemType(
    "malformed", 400, "The body is no JSON", "Send one JSON value in UTF-8, without NaN."
)
BAD_CURSOR = ProblemType(
    "cursor",
    400,
    "The cursor cannot be used",
    "Use next_cursor of the same list as it was given, within a day; or start from the beginning.",
)
BAD_KEY = ProblemType(
    "idempotency-key",
    400,
    "The Idempotency-Key cannot be used",
    "Send 1 to 255 visible ASCII characters, in quotes or without.",
)
BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be read", "Mend the request.")
UNAUTHENTICATED = ProblemType(
    "unauthenticated",
    401,
    "An API key is needed",
    "Send Authorization: Bearer <key>, with a key that is neither expired nor revoked.",
)
FORBIDDEN = ProblemType(
    "forbidden", 403, "The API key lacks a scope", "Use a key with the scope that is named."
)
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing", "Check the address.")
NOT_READY = ProblemType(
    "not-ready", 404, "It is not ready yet", "Ask again after Retry-After seconds."
)
METHOD = ProblemType(
    "method-not-allowed", 405, "It cannot be done here", "Allow names the methods that can."
)
CONFLICT = ProblemType(
    "conflict", 409, "Its state does not allow that", "Look at it again before trying again."
)
IN_FLIGHT = ProblemType(
    "in-flight",
    409,
    "The first request with this Idempotency-Key is still running",
    "Repeat the same request after Retry-After seconds.",
)
TOO_SLOW = ProblemType("too-slow", 408, "The request came too slowly", "Send it again.")
HEAD_TOO_LARGE = ProblemType(
    "head-too-large", 431, "The head of the request is too large", "Send fewer or shorter headers."
)
TOO_LARGE = ProblemType("too-large", 413, "The body is too large", "Send less at a time.")
NOT_JSON = ProblemType(
    "media-type", 415, "The body is not declared as JSON", "Send Content-Type: application/json."
)
INVALID = ProblemType(
    "validation", 422, "Some fields are not valid", "Mend the fields that `errors` names."
)
KEY_REUSED = ProblemType(
    "key-reused",
    422,
    "The Idempotency-Key was used for another request",
    "Make a new key for each new request.",
)
INTERNAL = ProblemType(
    "internal",
    500,
    "Something went wrong here",
    "Nothing was changed. Report the request_id; the service's log has it.",
)
UNAVAILABLE = ProblemType(
    "unavailable",
    503,
    "The service cannot work right now",
    "Nothing was changed. Try again after Retry-After seconds.",
)
OUTCOME_UNKNOWN = ProblemType(
    "outcome-unknown",
    503,
    "It is not known whether the request took effect",
    "The database went away, perhaps while it committed. Look before trying again; a POST that "
    "is repeated with the same Idempotency-Key takes effect once.",
)

PROBLEM_TYPES = {
    each.name: each for each in list(globals().values()) if isinstance(each, ProblemType)
}

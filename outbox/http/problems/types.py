"""The types of problems that answers can have. Clients may rely on their names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem; `meaning` says what to do about it."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The path of its documentation, which is the `type` of the problem.

        In answers it begins with the prefix with which the app included the library's router.
        """
        return f"/problems/{self.name}"


MALFORMED = ProblemType(
    "malformed", 400, "The body is no JSON", "Send one JSON value in UTF-8, without NaN."
)
BAD_CURSOR = ProblemType(
    "cursor",
    400,
    "The cursor cannot be used",
    "Use the next_cursor of the same list unchanged, within a day, or start from the beginning.",
)
BAD_KEY = ProblemType(
    "idempotency-key",
    400,
    "The Idempotency-Key cannot be used",
    "Send 1 to 255 visible ASCII characters, in quotes or without.",
)
BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be read", "Correct the request.")
UNAUTHENTICATED = ProblemType(
    "unauthenticated",
    401,
    "An API key is needed",
    "Send Authorization: Bearer <key>, with a key that is neither expired nor revoked.",
)
SIGNATURE = ProblemType(
    "signature",
    400,
    "The signature is not valid",
    "Sign the raw body with the current secret of this source, no more than five minutes ago.",
)
FORBIDDEN = ProblemType(
    "forbidden", 403, "The API key lacks a scope", "Use a key that has the named scope."
)
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing", "Check the address.")
NOT_READY = ProblemType(
    "not-ready", 404, "It is not ready yet", "Ask again after Retry-After seconds."
)
METHOD = ProblemType(
    "method-not-allowed",
    405,
    "It cannot be done here",
    "The Allow header lists the methods that can be used.",
)
CONFLICT = ProblemType(
    "conflict", 409, "Its state does not allow that", "Check its current state before trying again."
)
IN_FLIGHT = ProblemType(
    "in-flight",
    409,
    "The first request with this Idempotency-Key is still running",
    "Repeat the same request after Retry-After seconds.",
)
GONE = ProblemType(
    "gone", 410, "It was here, and is no longer", "Ask for it anew where you had it from."
)
CHANGED = ProblemType(
    "changed",
    412,
    "Somebody has changed it since",
    "Get it again, look at what was changed, and send its new ETag as If-Match.",
)
IF_MATCH = ProblemType(
    "if-match",
    428,
    "An If-Match is needed",
    "Send the ETag of the version that you know as If-Match, so that no other change is lost.",
)
TOO_SLOW = ProblemType("too-slow", 408, "The request came too slowly", "Send it again.")
HEAD_TOO_LARGE = ProblemType(
    "head-too-large", 431, "The head of the request is too large", "Send fewer or shorter headers."
)
TOO_LARGE = ProblemType(
    "too-large",
    413,
    "The body is too large",
    "Send less in one request. Large data of a job belongs in a document store, and a reference to "
    "it in the payload.",
)
NOT_JSON = ProblemType(
    "media-type", 415, "The body is not declared as JSON", "Send Content-Type: application/json."
)
RANGE = ProblemType(
    "range",
    416,
    "The range is not in the document",
    "Ask for a range below the size that Content-Range names, or for the whole document.",
)
INVALID = ProblemType(
    "validation", 422, "Some fields are not valid", "Correct the fields that `errors` names."
)
KEY_REUSED = ProblemType(
    "key-reused",
    422,
    "The Idempotency-Key was used for another request",
    "Use a new key for each new request.",
)
INTERNAL = ProblemType(
    "internal",
    500,
    "Something went wrong here",
    "Nothing was changed. Report the request_id, which is in the service's log.",
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
    "The database did not answer, perhaps during the commit. Check before trying again. A POST "
    "repeated with the same Idempotency-Key takes effect only once.",
)

PROBLEM_TYPES = {
    each.name: each for each in list(globals().values()) if isinstance(each, ProblemType)
}

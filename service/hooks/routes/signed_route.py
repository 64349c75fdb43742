"""Routes whose callers have no API key: the body is signed."""

from typing import ClassVar

from starlette.requests import Request

from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.requests.transaction import KeylessRoute
from service.hooks.signatures import STANDARD_HEADERS, STRIPE_HEADERS

NOT_SIGNED = "the signature is missing, wrong, or too old"
"""The same for a source that there is not: strangers do not learn which there are."""


class SignedRoute(KeylessRoute):
    """Refuses a request without a signature before its body is read."""

    # As much as Amazon EventBridge carries, over which Stripe sends its events as well.
    largest_body = 256 * 1024
    headers: ClassVar[tuple[str, ...]]

    async def authenticate(self, request: Request) -> None:
        """Refuse a request that lacks one of the headers, or has one twice. Raises `Problem`."""
        if any(len(request.headers.getlist(name)) != 1 for name in self.headers):
            raise not_signed()


class StripeRoute(SignedRoute):
    """Signed as Stripe signs."""

    headers = STRIPE_HEADERS


class StandardRoute(SignedRoute):
    """Signed as in Standard Webhooks."""

    headers = STANDARD_HEADERS


def not_signed() -> Problem:
    """The one answer to everything that nobody known has signed."""
    return Problem(types.SIGNATURE, NOT_SIGNED)

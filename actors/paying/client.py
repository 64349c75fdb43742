"""The client of Stripe's API, and what its errors mean for a job."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TypeVar

import stripe

from actors.web.post import NoAnswer
from actors.web.retry_after import retry_in
from outbox import RateLimited
from service.settings import settings

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
PAUSE = timedelta(seconds=2)
"""After a 429 that does not say how long to wait."""
SERVER_ERROR = 500

T = TypeVar("T")


class NoKey(Exception):
    """DULY_STRIPE_KEY is not set."""


def client() -> stripe.StripeClient:
    """The client of the account in the settings. For any thread. Raises NoKey."""
    key = settings().stripe_key
    if not key:  # None, or empty as docker-compose.yml passes it on
        raise NoKey("DULY_STRIPE_KEY is not set")
    return _client(key.get_secret_value(), settings().stripe_url)


@cache
def _client(key: str, url: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": url.rstrip("/")},
        http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
        max_network_retries=0,  # the job is what is tried again, after a look at what became of it
    )


def asked(call: Callable[[], T]) -> T:
    """What Stripe answers to the call.

    Raises RateLimited for a 429, stripe.StripeError for all else that is not a 2xx, and NoAnswer.
    """
    try:
        return call()
    except stripe.RateLimitError as error:
        if getattr(error.error, "code", None) == "lock_timeout":
            raise  # another request works on the same object: no reason to pause all the others
        raise RateLimited(_pause(error), f"Stripe answered 429: {error}") from error
    except stripe.APIConnectionError as error:
        # Its own text is a page long; the traceback has it.
        raise NoAnswer("no answer from Stripe, which may have done what was asked") from error


def posted(name: str, call: Callable[[str], T], look: Callable[[], T | None]) -> T:
    """What `look` finds, or else what Stripe answers to a POST with an Idempotency-Key.

    Stripe repeats its answer to a key for 24 hours, a 5xx too. After one that it repeats, the next
    key of the name is tried: the request that was answered so is over, and `look` sees what it has
    left. A key whose request still runs is answered 409, so no two of a name run at once.
    """
    number = 1
    while (found := look()) is None:
        try:
            return asked(partial(call, f"{name}-{number}"))
        except stripe.APIError as error:
            if not _is_repeated_failure(error):
                raise
        number += 1
    return found


def _is_repeated_failure(error: stripe.APIError) -> bool:
    is_repeated = (error.headers or {}).get("Idempotent-Replayed") == "true"
    return is_repeated and (error.http_status or 0) >= SERVER_ERROR


def _pause(error: stripe.RateLimitError) -> timedelta:
    asked_for = (error.headers or {}).get("Retry-After")
    return retry_in(asked_for, datetime.now(UTC)) or PAUSE

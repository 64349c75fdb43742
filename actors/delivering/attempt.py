"""One attempt at a delivery: the call, and what its end means."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from actors.delivering.message import SIGNATURE, Message
from actors.web.addresses import check_async
from actors.web.post import Answer, NoAnswer, post
from actors.web.retry_after import retry_in
from outbox import Job, RateLimited
from service.job_times import time_of
from service.settings import settings
from service.webhooks.kinds import AddressRefused, EndpointGone, EndpointMoved
from service.webhooks.models import WebhookEndpoint

GONE = 410
MOVED_FOR_GOOD = (301, 308)
COME_BACK_LATER = (429, 503)
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(days=1)
"""How long an endpoint can have itself left alone."""
PATIENCE = timedelta(days=3)
"""A job that is older spends an attempt whenever it is sent away: it has to end some time."""
SHOWN_HEADERS = ("content-type", "retry-after", "server")
LONGEST_HEADER = 200
SHOWN_BYTES = 2000
"""Of an answer's body, which are kept."""


class DeliveryFailed(Exception):
    """The endpoint did not answer 2xx. `retry_in` is how long it asked to wait, or None."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(_summary(answer))
        self.retry_in = _asked(answer)


@dataclass(slots=True)
class Attempt:
    """How an attempt went. Without an `error` the endpoint has answered 2xx."""

    number: int
    at: datetime
    seconds: float = 0.0
    headers: dict[str, str] | None = None
    answer: Answer | None = None
    error: Exception | None = None

    @property
    def status(self) -> int | None:
        """The answer's status."""
        return self.answer.status if self.answer else None

    def to_json(self) -> dict[str, Any]:
        """What is kept of it: neither the signature nor more than the answer's beginning."""
        sent, answer = self.headers, self.answer
        return {
            "attempt": self.number,
            "at": self.at.isoformat(),
            "seconds": round(self.seconds, 3),
            "request_headers": sent and {n: v for n, v in sent.items() if n != SIGNATURE},
            "status": self.status,
            "answer_headers": answer and _shown_headers(answer),
            "answer_body": answer and _shown_body(answer),
            "error": _storable(str(self.error)) if self.error else None,
        }


async def attempt(endpoint: WebhookEndpoint, message: Message, job: Job) -> Attempt:
    """Call the endpoint. What went wrong is in the attempt's error."""
    made = Attempt(job.attempt, datetime.now(UTC))
    began = time.monotonic()
    try:
        await _call(made, endpoint, message)
        made.error = _judged(made, endpoint, job.id)
    except (AddressRefused, NoAnswer, OSError) as error:
        # The client's frames tell nothing more. To describe them takes 20 ms of the event loop, and
        # fifty endpoints that hang may time out at once.
        made.error = error.with_traceback(None)
    made.seconds = time.monotonic() - began
    return made


def skipped(endpoint: WebhookEndpoint, job: Job) -> Attempt:
    """The attempt at an endpoint that is switched off: no call."""
    why = EndpointGone(f"the endpoint {endpoint.id} is switched off")
    return Attempt(job.attempt, datetime.now(UTC), error=why)


async def _call(made: Attempt, endpoint: WebhookEndpoint, message: Message) -> None:
    own = settings()
    to = await check_async(
        endpoint.url, may_be_private=own.webhooks_may_reach_private, denied=own.webhooks_deny
    )
    made.headers = message.headers(endpoint, made.at)
    made.answer = await post(to, message.body.encode(), made.headers)


def _judged(made: Attempt, endpoint: WebhookEndpoint, job_id: UUID) -> Exception | None:
    """What the answer means; None if the event was delivered."""
    answer = made.answer
    if answer is None or 200 <= answer.status < 300:
        return None
    if answer.status == GONE:
        return EndpointGone(f"the endpoint {endpoint.id} answered 410 Gone and was switched off")
    if answer.status in MOVED_FOR_GOOD:
        return EndpointMoved(f"{_summary(answer)} for good: give the endpoint its new address")
    asked = _asked(answer)
    is_patient = made.at - time_of(job_id) < PATIENCE
    if answer.status in COME_BACK_LATER and asked is not None and is_patient:
        return RateLimited(min(max(asked, SHORTEST_PAUSE), LONGEST_PAUSE), _summary(answer))
    return DeliveryFailed(answer)


def _asked(answer: Answer) -> timedelta | None:
    return retry_in(answer.headers.get("retry-after"), datetime.now(UTC))


def _summary(answer: Answer) -> str:
    pointing = f" and points to {answer.moved_to}" if answer.moved_to else ""
    return f"the endpoint answered {answer.status}{pointing}"


def _shown_headers(answer: Answer) -> dict[str, str]:
    given = {name: answer.headers[name] for name in SHOWN_HEADERS if name in answer.headers}
    return {name: _storable(value)[:LONGEST_HEADER] for name, value in given.items()}


def _shown_body(answer: Answer) -> str | None:
    """The beginning as text; None where it is compressed, as nobody has asked for."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        return None
    return _storable(answer.body[:SHOWN_BYTES].decode(errors="replace"))


def _storable(text: str) -> str:
    """Postgres stores no NUL."""
    return text.replace("\0", "\ufffd")

"""Which event becomes which job: the table that a new event is added to."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from outbox import Work
from outbox.submission.submit import check
from service.charging.kinds import PAYMENT_SETTLED

log = structlog.stdlib.get_logger(__name__)

Content = Mapping[str, Any]
"""The event's body, as JSON says it."""
MakeWork = Callable[[Content], Work[Any]]

STRIPE = "stripe"
NO_JOB = "no job is made of events of this type"


def _settled(event: Content) -> Work[Any]:
    """The event is about a PaymentIntent."""
    return PAYMENT_SETTLED(intent_id=event["data"]["object"]["id"])


def _settled_again(event: Content) -> Work[Any]:
    """The event is about a charge, or a refund, of a PaymentIntent."""
    return PAYMENT_SETTLED(intent_id=event["data"]["object"]["payment_intent"])


WORK_OF: dict[str, dict[str, MakeWork]] = {
    STRIPE: {
        "payment_intent.succeeded": _settled,
        "payment_intent.payment_failed": _settled,
        "payment_intent.canceled": _settled,
        "payment_intent.processing": _settled,
        "charge.refunded": _settled_again,
        "refund.updated": _settled_again,
        "refund.failed": _settled_again,
    },
}
"""By source, then by type of event: the function that makes the job of an event.

Events come twice, late and in any order. So a job asks the source what is true now, and takes from
the event no more than what to ask for.
"""


class NoWork(Exception):
    """This release makes no job of the event; the text says why, and quotes nothing of it."""


def work_of(source: str, event_type: str | None, content: Content) -> Work[Any]:
    """The job that the event becomes. Raises NoWork."""
    make = WORK_OF.get(source, {}).get(event_type or "")
    if make is None:
        raise NoWork(NO_JOB)
    try:
        work = make(content)
        check(work)
    except (LookupError, TypeError, ValueError) as error:
        what = type(error).__name__
        log.warning(
            "an event is not as its job needs it", source=source, event_type=event_type, why=what
        )
        raise NoWork(f"the event lacks what its job needs ({what})") from None
    return work

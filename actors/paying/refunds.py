"""Refunds at Stripe: each carries the id of our row, by which it is found again."""

from dataclasses import dataclass
from functools import partial

import stripe

from actors.paying.client import asked, client, posted
from service.charging.models import Refund, RefundState


class Refused(Exception):
    """Stripe will not refund this; the text is what it says."""


OURS = "refund_id"
"""The key of our id in a refund's metadata."""


@dataclass(frozen=True, slots=True)
class RefundEnd:
    """How a refund ended, and why it failed."""

    state: RefundState
    why: str | None = None


def refund(row: Refund, intent_id: str) -> stripe.Refund:
    """The refund of this row: found, or made now. A look before each try: keys are forgotten.

    Raises Refused, of more than was paid say.
    """
    params: stripe.params.RefundCreateParams = {
        "payment_intent": intent_id,
        "amount": row.amount,
        "metadata": {OURS: str(row.id)},
    }
    return posted(
        f"refund-{row.id}",
        partial(_create, params),
        look=lambda: by_row(intent_id).get(str(row.id)),
    )


def by_row(intent_id: str) -> dict[str, stripe.Refund]:
    """The intent's refunds by the ids of our rows. Those that were made elsewhere are left out."""
    found = asked(partial(_all_of, intent_id))
    return {row_id: each for each in found if (row_id := _row_id(each))}


def refund_end(refund: stripe.Refund) -> RefundEnd | None:
    """How it ended; None while it has not."""
    if refund.status == "succeeded":
        return RefundEnd(RefundState.SUCCEEDED)
    if refund.status in ("failed", "canceled"):
        return RefundEnd(
            RefundState.FAILED, getattr(refund, "failure_reason", None) or refund.status
        )
    return None


def _create(params: stripe.params.RefundCreateParams, key: str) -> stripe.Refund:
    try:
        return client().v1.refunds.create(params, {"idempotency_key": key})
    except stripe.InvalidRequestError as error:
        raise Refused(error.user_message) from error


def _row_id(refund: stripe.Refund) -> str | None:
    metadata = refund.metadata
    return metadata[OURS] if metadata and OURS in metadata else None


def _all_of(intent_id: str) -> list[stripe.Refund]:
    page = client().v1.refunds.list({"payment_intent": intent_id, "limit": 100})
    return list(page.auto_paging_iter())

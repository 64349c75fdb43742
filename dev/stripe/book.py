"""The provider's book: payment intents, refunds, and which of them moved money."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from time import time

from dev.stripe.answers import Json, Refusal, bad_request, not_found
from dev.stripe.cards import CARDS, Card

CONFIRMABLE = ("requires_confirmation", "requires_action")
CANCELLABLE = ("requires_payment_method", *CONFIRMABLE)


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that moved: a charge is positive, a refund negative."""

    intent_id: str
    invoice_id: str | None
    amount: int
    currency: str


class Book:
    """Everything the server knows. `tell` is called with each event. For any thread."""

    def __init__(self, tell: Callable[[str, Json], None] = lambda _name, _object: None) -> None:
        self.intents: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.movements: list[Movement] = []
        self._tell = tell
        self._lock = threading.RLock()

    def create(self, params: Json) -> Json:
        """A new intent, unconfirmed."""
        method = params.get("payment_method")
        if method is not None and method not in CARDS:
            raise not_found("PaymentMethod", method, "payment_method")
        status = "requires_confirmation" if method else "requires_payment_method"
        intent = {
            "id": f"pi_{token_hex(12)}",
            "object": "payment_intent",
            "amount": _amount(params),
            "amount_received": 0,
            "currency": params["currency"],
            "payment_method": method,
            "metadata": params.get("metadata", {}),
            "status": status,
            "last_payment_error": None,
            "cancellation_reason": None,
            "next_action": None,
            "latest_charge": None,
            "created": int(time()),
            "livemode": False,
        }
        with self._lock:
            self.intents[intent["id"]] = intent
            return dict(intent)

    def retrieve(self, intent_id: str) -> Json:
        """The intent as it is now."""
        with self._lock:
            return dict(self._intent(intent_id))

    def confirm(self, intent_id: str) -> Json:
        """Move the money, or say why not. An intent that has moved money moves no more."""
        with self._lock:
            intent = self._intent(intent_id)
            if intent["status"] not in CONFIRMABLE:
                raise _unexpected(intent, "confirmed")
            card = CARDS[intent["payment_method"]]
            if card.code:
                raise self._decline(intent, card)
            intent["status"] = card.status
            if card.status == "succeeded":
                self._charge(intent)
            return dict(intent)

    def finish(self, intent_id: str, status: str) -> None:
        """What a bank or customer decides later of an intent: it succeeds, or is declined."""
        with self._lock:
            intent = self._intent(intent_id)
            intent["status"] = status
            if status == "succeeded":
                self._charge(intent)
            else:
                intent["last_payment_error"] = {"code": "declined", "message": "It was declined."}
                self._tell("payment_intent.payment_failed", intent)

    def cancel(self, intent_id: str) -> Json:
        """End an intent that has moved no money."""
        with self._lock:
            intent = self._intent(intent_id)
            if intent["status"] not in CANCELLABLE:
                raise _unexpected(intent, "canceled")
            intent["status"] = "canceled"
            self._tell("payment_intent.canceled", intent)
            return dict(intent)

    def refund(self, params: Json) -> Json:
        """Give back what is left of the intent, or a part of that."""
        with self._lock:
            intent = self._intent(params["payment_intent"])
            left = intent["amount_received"] - self._given_back(intent["id"])
            amount = _amount(params) if "amount" in params else left
            if not 0 < amount <= left:
                raise _too_much(amount, left)
            return dict(self._give_back(intent, amount, params.get("metadata", {})))

    def refunds_of(self, intent_id: str) -> Json:
        """The list of the intent's refunds, newest first."""
        with self._lock:
            self._intent(intent_id)
            found = [each for each in self.refunds.values() if each["payment_intent"] == intent_id]
            data = [dict(each) for each in reversed(found)]
        return {"object": "list", "url": "/v1/refunds", "has_more": False, "data": data}

    def finish_refund(self, refund_id: str, status: str) -> None:
        """What a bank decides later of a refund."""
        with self._lock:
            refund = self.refunds[refund_id]
            refund["status"] = status
            refund |= _failure(status)
            self._tell("refund.updated", refund)

    def charged(self, invoice_id: object) -> list[int]:
        """The charges of an invoice that moved money."""
        return [each.amount for each in self._of(invoice_id) if each.amount > 0]

    def returned(self, invoice_id: object) -> list[int]:
        """The refunds of an invoice that moved money."""
        return [-each.amount for each in self._of(invoice_id) if each.amount < 0]

    def _of(self, invoice_id: object) -> list[Movement]:
        with self._lock:
            return [each for each in self.movements if each.invoice_id == str(invoice_id)]

    def _intent(self, intent_id: str) -> Json:
        if intent_id not in self.intents:
            raise not_found("payment_intent", intent_id)
        return self.intents[intent_id]

    def _charge(self, intent: Json) -> None:
        intent["amount_received"] = intent["amount"]
        intent["latest_charge"] = f"ch_{token_hex(12)}"
        self._move(intent, intent["amount"])
        self._tell("payment_intent.succeeded", intent)

    def _decline(self, intent: Json, card: Card) -> Refusal:
        error = {"code": card.code, "decline_code": card.decline_code}
        intent["status"], intent["payment_method"] = card.status, None
        intent["last_payment_error"] = {"type": "card_error", "message": card.message, **error}
        self._tell("payment_intent.payment_failed", intent)
        return Refusal(
            402,
            "card_error",
            card.message or "",
            is_kept=True,
            code=card.code,
            decline_code=card.decline_code,
            payment_intent=dict(intent),
        )

    def _give_back(self, intent: Json, amount: int, metadata: Json) -> Json:
        card = CARDS[intent["payment_method"]]
        refund = {
            "id": f"re_{token_hex(12)}",
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "metadata": metadata,
            "status": card.refund,
            "created": int(time()),
            **_failure(card.refund),
        }
        self.refunds[refund["id"]] = refund
        if card.refund != "failed":
            self._move(intent, -amount)
        self._tell("refund.created", refund)
        return refund

    def _given_back(self, intent_id: str) -> int:
        of_intent = (r for r in self.refunds.values() if r["payment_intent"] == intent_id)
        return sum(r["amount"] for r in of_intent if r["status"] not in ("failed", "canceled"))

    def _move(self, intent: Json, amount: int) -> None:
        invoice_id = intent["metadata"].get("invoice_id")
        self.movements.append(Movement(intent["id"], invoice_id, amount, intent["currency"]))


def _amount(params: Json) -> int:
    given = str(params.get("amount", ""))
    if not (given.isdigit() and 0 < int(given) < 10**12):
        raise bad_request(f"Invalid integer: {given}", "parameter_invalid_integer", param="amount")
    return int(given)


def _failure(status: str) -> Json:
    """What only a refund that failed has."""
    return {"failure_reason": "lost_or_stolen_card"} if status == "failed" else {}


def _unexpected(intent: Json, done: str) -> Refusal:
    message = f"This PaymentIntent cannot be {done}: its status is {intent['status']}."
    code = "payment_intent_unexpected_state"
    return bad_request(message, code, is_kept=True, payment_intent=dict(intent))


def _too_much(amount: int, left: int) -> Refusal:
    if left == 0:
        return bad_request("The charge has been refunded.", "charge_already_refunded", is_kept=True)
    message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
    return bad_request(message, is_kept=True, param="amount")

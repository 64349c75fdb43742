"""What becomes of a request: its key, the operation, and the fault that it meets."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from dev.stripe import forms
from dev.stripe.answers import Answer, Json, Refusal, bad_request, unauthorized
from dev.stripe.book import Book
from dev.stripe.events import Events
from dev.stripe.faults import Fault, Faults
from dev.stripe.keys import Keys

KEY = "sk_test_duly"

INTENT = r"/v1/payment_intents/(?P<intent>\w+)"
ROUTES = {
    "create": ("POST", re.compile(r"/v1/payment_intents")),
    "retrieve": ("GET", re.compile(INTENT)),
    "confirm": ("POST", re.compile(INTENT + "/confirm")),
    "cancel": ("POST", re.compile(INTENT + "/cancel")),
    "refund": ("POST", re.compile(r"/v1/refunds")),
    "balance": ("GET", re.compile(r"/v1/balance")),
    "list": ("GET", re.compile(r"/v1/refunds")),
}
PARAMS = {
    "create": {
        *("amount", "currency", "payment_method", "metadata", "automatic_payment_methods"),
    },
    "confirm": {"off_session"},
    "refund": {"payment_intent", "amount", "metadata"},
    "list": {"payment_intent", "limit"},
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    form: str
    """The body, or the query of a GET."""
    authorization: str | None = None
    idempotency_key: str | None = None


@dataclass(slots=True)
class Provider:
    """The provider: its book, the keys that it remembers, and how it is to misbehave."""

    events: Events = field(default_factory=Events)
    book: Book = field(init=False)
    keys: Keys = field(default_factory=Keys)
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    """The operations that were asked for, in order."""

    def __post_init__(self) -> None:
        self.book = Book(self.events.tell)

    def answer(self, request: Request) -> Answer:
        """Do what is asked. Raises NoAnswer where the answer is to be lost."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        if request.authorization != f"Bearer {KEY}":
            raise unauthorized()
        name, intent_id = _route(request)
        self.requests.append(name)
        fault = self.faults.take(name)
        key = request.idempotency_key if request.method == "POST" else None
        asked_for = (request.path, request.form)
        work = self._operation(name, intent_id, _params(name, request.form))
        return fault.on_the_way(
            lambda: self.keys.once(key, asked_for, lambda: _worked(fault, work))
        )

    def _operation(self, name: str, intent_id: str, params: Json) -> Callable[[], Json]:
        return {
            "create": lambda: self.book.create(params),
            "retrieve": lambda: self.book.retrieve(intent_id),
            "confirm": lambda: self.book.confirm(intent_id),
            "cancel": lambda: self.book.cancel(intent_id),
            "refund": lambda: self.book.refund(params),
            "balance": lambda: {"object": "balance"},
            "list": lambda: self.book.refunds_of(params.get("payment_intent", "")),
        }[name]


def _route(request: Request) -> tuple[str, str]:
    for name, (method, path) in ROUTES.items():
        if request.method == method and (found := path.fullmatch(request.path)):
            return name, found.groupdict().get("intent", "")
    message = f"Unrecognized request URL ({request.method}: {request.path})."
    raise Refusal(404, "invalid_request_error", message)


def _params(name: str, form: str) -> Json:
    params = forms.read(form)
    if unknown := params.keys() - PARAMS.get(name, set()):
        message = f"Received unknown parameter: {min(unknown)}"
        raise bad_request(message, "parameter_unknown", param=min(unknown))
    return params


def _worked(fault: Fault, work: Callable[[], Json]) -> Answer:
    try:
        return fault.in_server(lambda: Answer(200, work()))
    except Refusal as refusal:
        return refusal.answer

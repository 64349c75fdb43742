"""One invoice, charged and refunded while anything goes wrong, in any order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Engine

from actors import ACTORS
from dev.stripe.faults import FAIL, FAIL_AFTER, LOSE_ANSWER, LOSE_REQUEST, Fault, busy
from dev.stripe.provider import ROUTES, Provider
from outbox.testing import drain
from service.charging.drafts import NotAllowed
from service.charging.models import Payment
from tests.support.service.charges import AMOUNT, Charges

CARDS = ["pm_card_visa", "pm_card_visa_chargeDeclined", "pm_unknown"]
FAULTS = [LOSE_ANSWER, LOSE_REQUEST, FAIL, FAIL_AFTER, busy(1)]
FINAL = {"succeeded", "declined", "cancelled"}


class ChargingMachine(RuleBasedStateMachine):
    """Clients, operators and the provider's events, on a provider that misbehaves."""

    def __init__(self, engine: Engine, provider: Provider) -> None:
        super().__init__()
        self._engine = engine
        self._provider = provider
        self._charges = Charges(engine)
        self._invoice_id = self._charges.invoice()
        self._payments: list[Payment] = []
        provider.faults.clear()

    @rule(card=st.sampled_from(CARDS))
    def charge(self, card: str) -> None:
        """A client charges the invoice."""
        try:
            self._payments.append(self._charges.charge(card, self._invoice_id))
        except NotAllowed:
            assert {"open", "succeeded"} & {*self._states()}

    @rule(operation=st.sampled_from(sorted(ROUTES)), fault=st.sampled_from(FAULTS))
    def break_down(self, operation: str, fault: Fault) -> None:
        """The next call of this sort goes wrong."""
        self._provider.faults.add(operation, fault)

    @rule()
    def forget_keys(self) -> None:
        """A day passes at the provider."""
        self._provider.keys.forget()

    @rule()
    def work_once(self) -> None:
        """A worker runs what is due now."""
        drain(ACTORS, self._engine)

    @rule()
    def work(self) -> None:
        """Workers run what is due within a day, retries too."""
        drain(ACTORS, self._engine, until=datetime.now(UTC) + timedelta(days=1))

    @rule(number=st.integers(0, 3))
    def repeat(self, number: int) -> None:
        """An operator has a payment charged once more, whatever has become of it."""
        for payment in self._payments[number : number + 1]:
            self._charges.submit(self._charges.charging(payment))

    @rule(number=st.integers(0, 3))
    def cancel(self, number: int) -> None:
        """A client cancels."""
        for payment in self._payments[number : number + 1]:
            self._charges.submit(self._charges.cancelling(payment))

    @rule()
    def tell_of_it(self) -> None:
        """The provider's events come, again and in any order."""
        for payment in self._payments:
            if self._charges.payment(payment).intent_id:
                self._charges.submit(self._charges.settling(payment))

    @rule(amount=st.sampled_from(["0.01", "5.00", "19.90"]))
    def refund(self, amount: str) -> None:
        """A client asks for some of it back."""
        for payment in self._payments:
            try:
                self._charges.refund(payment, Decimal(amount))
            except NotAllowed:
                continue

    @invariant()
    def money_moves_once(self) -> None:
        """At most one charge, as the rows say it; and no more comes back than was paid."""
        charged = self._provider.book.charged(self._invoice_id)
        assert charged in ([], [AMOUNT])
        if "succeeded" in self._states():
            assert charged == [AMOUNT]
        assert sum(self._provider.book.returned(self._invoice_id)) <= sum(charged)

    def teardown(self) -> None:
        """Once the provider behaves, all has ended, and rows and book agree."""
        self._provider.faults.clear()
        self.work()
        self.money_moves_once()
        states = self._states()
        assert {*states} <= FINAL
        book = self._provider.book
        assert len(book.charged(self._invoice_id)) == states.count("succeeded")
        refunds = [each for payment in self._payments for each in self._charges.refunds(payment)]
        returned = sorted(amount for state, amount in refunds if state == "succeeded")
        assert sorted(book.returned(self._invoice_id)) == returned
        assert all(state == "succeeded" for state, _ in refunds)

    @classmethod
    def at(cls, engine: Engine, provider: Provider) -> type["ChargingMachine"]:
        """The machine on this database and provider, as hypothesis wants it."""

        class Here(cls):  # type: ignore[valid-type, misc]
            def __init__(self) -> None:
                super().__init__(engine, provider)

        return Here

    def _states(self) -> list[str]:
        return self._charges.states(self._invoice_id)

"""What becomes of payments and refunds, and of their invoice."""

import pytest

from service.charging.models import Payment, PaymentState, Refund, RefundState
from service.invoices.models import Invoice

OPEN, SUCCEEDED, DECLINED, CANCELLED = PaymentState


def payment(state: PaymentState, *refunds: Refund) -> Payment:
    return Payment(amount=1000, currency="EUR", state=state, refunds=list(refunds))


def refund(state: RefundState, amount: int = 400) -> Refund:
    return Refund(amount=amount, state=state)


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [
        (OPEN, DECLINED, DECLINED),
        (DECLINED, CANCELLED, DECLINED),
        (CANCELLED, SUCCEEDED, SUCCEEDED),
        (SUCCEEDED, DECLINED, SUCCEEDED),
        (SUCCEEDED, CANCELLED, SUCCEEDED),
    ],
)
def test_an_end_stands_unless_money_has_moved(
    before: PaymentState, told: PaymentState, after: PaymentState
) -> None:
    settled = payment(before)
    settled.settle(told, "why")
    assert settled.state == after


def test_a_refund_that_succeeded_may_fail_later_and_then_stays_so() -> None:
    row = refund(RefundState.OPEN)
    ends = [RefundState.SUCCEEDED, RefundState.FAILED, RefundState.SUCCEEDED]
    states = []
    for end in ends:
        row.settle(end, None, "re_1")
        states.append(row.state)
    assert states == [RefundState.SUCCEEDED, RefundState.FAILED, RefundState.FAILED]


def test_open_refunds_count_as_given_and_failed_ones_do_not() -> None:
    refunds = [refund(each) for each in (RefundState.OPEN, RefundState.FAILED)]
    assert payment(SUCCEEDED, *refunds).refundable == 600
    assert payment(OPEN).refundable == 0


@pytest.mark.parametrize(
    ("payments", "state"),
    [
        ([], "unpaid"),
        ([payment(DECLINED), payment(OPEN)], "unpaid"),
        ([payment(CANCELLED), payment(SUCCEEDED)], "paid"),
        ([payment(SUCCEEDED, refund(RefundState.SUCCEEDED))], "paid"),
        ([payment(SUCCEEDED, refund(RefundState.OPEN, 1000))], "paid"),
        ([payment(SUCCEEDED, refund(RefundState.SUCCEEDED, 1000))], "refunded"),
    ],
)
def test_an_invoice_is_unpaid_paid_or_refunded(payments: list[Payment], state: str) -> None:
    assert Invoice(payments=payments).state == state

import pytest
from pydantic import BaseModel, ValidationError

from outbox import Kind, Kinds


class Charge(BaseModel):
    amount: int
    card: str = ""


CHARGE = Kind("charge", Charge, queue="money", sensitive=("card",))


def test_calling_a_kind_makes_its_work() -> None:
    work = CHARGE(amount=5)
    assert work.kind is CHARGE
    assert work.payload == Charge(amount=5)


def test_a_payload_that_came_as_data_is_validated() -> None:
    assert CHARGE.parse({"amount": 5, "card": "x"}).payload == Charge(amount=5, card="x")
    with pytest.raises(ValidationError, match="amount"):
        CHARGE.parse({"amount": "five"})


def test_a_sensitive_field_must_be_one_of_the_payload() -> None:
    with pytest.raises(ValueError, match="charge: its payload has no field cvc"):
        Kind("charge", Charge, sensitive=("card", "cvc"))


def test_kinds_are_found_by_name() -> None:
    kinds = Kinds(CHARGE, Kind("refund", Charge, queue="money"), Kind("report", Charge))
    assert kinds["charge"] is CHARGE
    assert list(kinds) == ["charge", "refund", "report"]
    assert kinds.queues == ["default", "money"]


def test_two_kinds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same name"):
        Kinds(CHARGE, Kind("charge", Charge))

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outbox import Kind, Kinds, Work


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


@pytest.mark.parametrize("name", ["", "two\nlines", "nul\0", "half \ud800", "x" * 201])
def test_a_kind_is_called_what_a_message_can_carry(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a kind"):
        Kind(name, Charge)


@pytest.mark.parametrize(
    "queue",
    ["", "amq.mine", "mine.XQ", "mine.DQ", "a b", "a\n", "é", "1st", "x" * 201, "x\0", ".x"],
)
def test_a_queue_is_called_what_broker_and_worker_take(queue: str) -> None:
    with pytest.raises(ValueError, match="is no name of a queue"):
        Kind("charge", Charge, queue=queue)


@pytest.mark.parametrize("queue", ["q", "_", "mine-2.amq.XQ_", "XQ", "aDQ", "x" * 200])
def test_other_queues_are_taken(queue: str) -> None:
    assert Kind("Gebühr, monthly", Charge, queue=queue).queue == queue


def test_a_kinds_priority_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="3 is not a valid Priority"):
        Kind("charge", Charge, priority=3)  # type: ignore[arg-type]


def test_kinds_are_found_by_name() -> None:
    kinds = Kinds(CHARGE, Kind("refund", Charge, queue="money"), Kind("report", Charge))
    assert kinds["charge"] is CHARGE
    assert list(kinds) == ["charge", "refund", "report"]
    assert kinds.queues == ["default", "money"]


def test_two_kinds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two kinds have the name 'charge'"):
        Kinds(CHARGE, Kind("charge", Charge))


class Sample(BaseModel):
    value: float | None = None
    others: list[Any] = []


class Constants(Sample):
    model_config = ConfigDict(ser_json_inf_nan="constants")


class Aliased(BaseModel):
    order: int = Field(alias="orderId")


class LeftOut(BaseModel):
    order: int = Field(exclude=True)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    at: datetime


SAMPLE = Kind("sample", Sample)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_is_refused_and_not_made_null(number: float) -> None:
    for work in (
        SAMPLE(value=number),
        SAMPLE(others=[None, {"deep": (number,)}]),
        Kind("sample", Constants)(value=number),
    ):
        with pytest.raises(ValueError, match="sample: a payload may not hold NaN or infinity"):
            work.to_json()


def test_a_payload_that_its_own_kind_cannot_read_again_is_refused_and_not_shown() -> None:
    works: dict[str, Work[Any]] = {
        "orderId": Kind("charge", Aliased)(orderId=4711),
        "order": Kind("charge", LeftOut)(order=4711),
        "at": Kind("charge", Strict)(at=datetime(4711, 1, 1)),  # noqa: DTZ001
    }
    for field, work in works.items():
        with pytest.raises(
            ValueError, match=f"^charge: .* could not read .*: {field}: "
        ) as refused:
            work.to_json()
        assert "4711" not in str(refused.value)


def test_what_a_kind_can_read_again_is_its_json() -> None:
    class Odd(BaseModel):
        model_config = ConfigDict(ser_json_inf_nan="strings")

        id: UUID
        value: float
        name: str | None = None

    odd = Kind("odd", Odd)(id=UUID(int=1), value=float("inf"))
    assert odd.to_json() == f'{{"id":"{UUID(int=1)}","value":"Infinity","name":null}}'
    assert SAMPLE(others=["null", "\u00e9"]).to_json() == (
        '{"value":null,"others":["null","\\u00e9"]}'
    )


@pytest.mark.parametrize("payload", [dict, lambda: None, Charge(amount=1)])
def test_a_payload_is_a_model(payload: Any) -> None:
    with pytest.raises(ValueError, match="charge: its payload has to be a pydantic model"):
        Kind("charge", payload)

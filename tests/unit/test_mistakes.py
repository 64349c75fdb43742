"""What is passed in the place of something else is named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from outbox import Actor, Actors, Duly, Kind, Kinds, Work, batch, submit
from outbox.testing import run


class Receipt(BaseModel):
    model_config = ConfigDict(extra="forbid")

    account_id: int = 1


class Ticket(BaseModel):
    seat: str


Follow = Callable[[Any], None]
RECEIPT = Kind("receipt.send", Receipt)
SEND = Actor(RECEIPT, lambda _payload, _job: None)


@pytest.fixture(params=["on_success", "on_settled", "on_first_death"])
def group(request: pytest.FixtureRequest) -> Follow:
    """Makes a batch that something follows, in an app that knows receipts."""
    Duly(Kinds(RECEIPT), Actors([]))

    def follow(work: Any) -> None:
        with Session() as session, batch(session, **{request.param: work}):
            """No member."""

    return follow


def test_actors_of_one_kind_are_named() -> None:
    with pytest.raises(ValueError, match=r"two actors have the kind 'receipt\.send'"):
        Actors([SEND, Actor(Kind("other", Receipt), SEND.function), SEND])


def test_actors_are_no_list() -> None:
    actors: Any = [SEND]
    with pytest.raises(TypeError, match=r"an outbox\.Actors"):
        Duly(Kinds(RECEIPT), actors=actors)


def test_a_payload_is_no_work() -> None:
    payload: Any = Receipt()
    with Session() as session, pytest.raises(TypeError, match=r"KIND.*: not Receipt"):
        submit(session, payload)


def test_what_follows_a_batch_is_work(group: Follow) -> None:
    for wrong in (Receipt(), RECEIPT, {"kind": "receipt.send"}):
        with pytest.raises(TypeError, match=r"KIND\(\.\.\.\): not"):
            group(wrong)


def test_what_follows_a_batch_is_of_a_kind_of_the_app(group: Follow) -> None:
    unknown = Kind("receipt.archive", Receipt)
    with pytest.raises(ValueError, match=r"receipt\.archive is no kind of this app"):
        group(unknown())
    with pytest.raises(ValueError, match=r"receipt\.send is no kind of this app"):
        group(Kind("receipt.send", Ticket)(seat="A1"))
    group(RECEIPT())


def test_what_follows_a_batch_has_a_payload_that_fits_its_kind(group: Follow) -> None:
    with pytest.raises(ValueError, match=r"receipt\.send: a worker could not read this payload"):
        group(Work(RECEIPT, Ticket(seat="A1")))


def test_work_is_no_payload() -> None:
    work: Any = RECEIPT()
    engine = create_engine("sqlite://")
    with pytest.raises(TypeError, match=r"KIND\(\.\.\.\)\.payload"):
        run(SEND, work, engine)
    engine.dispose()

"""What is passed in the place of something else is named."""

from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from outbox import Actor, Actors, Duly, Kind, Kinds, submit
from outbox.testing import run


class Receipt(BaseModel):
    account_id: int = 1


RECEIPT = Kind("receipt.send", Receipt)
SEND = Actor(RECEIPT, lambda _payload, _job: None)


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


def test_work_is_no_payload() -> None:
    work: Any = RECEIPT()
    engine = create_engine("sqlite://")
    with pytest.raises(TypeError, match=r"KIND\(\.\.\.\)\.payload"):
        run(SEND, work, engine)
    engine.dispose()

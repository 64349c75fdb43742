"""What a relay tells of its servers when its connections end."""

from collections.abc import Iterator

import psycopg
import pytest

from outbox.amqp.connection import BrokerGone
from outbox.listeners import measures
from outbox.listeners.measures import Blocked, Measure, Reached
from outbox.relay.reached import telling_losses


@pytest.fixture
def told() -> Iterator[list[Measure]]:
    """What was told, in order."""
    found: list[Measure] = []
    ends = [measures.on(each, found.append) for each in (Reached, Blocked)]
    yield found
    for end in ends:
        end()


@pytest.mark.parametrize(
    ("error", "server"), [(BrokerGone(), "broker"), (psycopg.OperationalError(), "postgres")]
)
def test_a_connection_that_is_gone_is_not_blocked(
    told: list[Measure], error: Exception, server: measures.Server
) -> None:
    with pytest.raises(type(error)), telling_losses():
        raise error
    assert told == [Reached(server=server, is_up=False), Blocked(is_blocked=False)]

"""What the doctor says of a primary and its synchronous standby."""

import pytest

from outbox.doctor import Level
from tests.integration.doctor.conftest import find, setup_for
from tests.support.servers.standby import Pair

pytestmark = pytest.mark.slow


def test_replication_with_and_without_the_standby(pair: Pair, amqp_url: str) -> None:
    setup = setup_for(pair.url("postgres"), amqp_url, "t")
    found = find("replication", setup)
    assert (found.level, found.found[:19]) == (Level.OK, "it is synchronous: ")
    with pair.standby_away():
        found = find("replication", setup)
    assert (found.level, found.change) == (Level.ERROR, "start the standby")


def test_a_standby_takes_no_writes(pair: Pair, amqp_url: str) -> None:
    found = find("read-only", setup_for(pair.standby.url("postgres"), amqp_url, "t"))
    assert (found.level, found.found) == (Level.ERROR, "it is a standby, and takes no writes")

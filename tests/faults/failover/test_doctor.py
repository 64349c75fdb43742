"""What the doctor says of a primary and its synchronous standby."""

import psycopg
import pytest
from sqlalchemy import make_url

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


def test_a_standby_that_the_role_may_not_see_is_not_taken_for_well(
    pair: Pair, amqp_url: str
) -> None:
    owner = make_url(pair.url("postgres"))
    with psycopg.connect(pair.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE duly_app LOGIN PASSWORD 'duly_app'")
        url = owner.set(username="duly_app", password="duly_app")
        setup = setup_for(url.render_as_string(hide_password=False), amqp_url, "t")
        found = find("replication", setup)
        assert found.level is Level.SKIPPED
        assert found.found.endswith(": GRANT pg_read_all_stats TO duly_app")
        admin.execute(found.found.rpartition(": ")[2])
        assert find("replication", setup).level is Level.OK
        admin.execute("DROP ROLE duly_app")


def test_a_standby_takes_no_writes(pair: Pair, amqp_url: str) -> None:
    found = find("read-only", setup_for(pair.standby.url("postgres"), amqp_url, "t"))
    assert (found.level, found.found) == (Level.ERROR, "it is a standby, and takes no writes")

"""A relay that is told to end."""

from tests.support.service.line import Line
from tests.support.wait import wait_for


def test_a_relay_told_to_stop_ends_in_order(line: Line) -> None:
    (relay,) = line.start("relay")
    wait_for("the relay is ready", lambda: "relay ready" in relay.log)
    relay.terminate()
    assert relay.wait() == 0
    assert "relay stopped" in relay.log

"""How AMQP_URL is read."""

import pytest

from outbox.amqp.connection import HEARTBEAT_SECONDS, parameters


@pytest.mark.parametrize(
    ("url", "heartbeat"),
    [
        ("amqp://a:b@rabbit/", HEARTBEAT_SECONDS),
        ("amqp://a:b@rabbit/?heartbeat=7", 7),
        ("amqp://heartbeat:b@heartbeat.example/heartbeat", HEARTBEAT_SECONDS),
    ],
)
def test_the_heartbeat_is_ours_unless_the_address_has_one(url: str, heartbeat: int) -> None:
    (node,) = parameters(url)
    assert node.heartbeat == heartbeat

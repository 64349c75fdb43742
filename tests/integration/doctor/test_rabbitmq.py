"""What the doctor says of a RabbitMQ, its queues and its users that are really wrong."""

import re
from dataclasses import replace

import pytest

from dev.ports import free_port
from outbox.doctor import Level, Setup
from outbox.doctor.checks.rabbitmq import broker
from tests.integration.doctor.conftest import find, setup_for
from tests.support.cli_line import commands_of
from tests.support.engine.rabbit import Rabbit

RABBITMQ = ("rabbitmq", "rabbitmq-version", "rabbitmq-rights", "queues")


def test_all_is_well_with_rabbitmq(setup: Setup, rabbit: Rabbit, queue: str) -> None:
    rabbit.declare(queue)
    found = {name: find(name, setup) for name in RABBITMQ}
    assert {name for name, each in found.items() if each.level is not Level.OK} == set()


def test_looking_makes_no_queue_and_takes_no_message(
    setup: Setup, rabbit: Rabbit, queue: str
) -> None:
    for name in RABBITMQ:
        assert find(name, setup).level is Level.OK
    rabbit.declare(queue)  # with other arguments than a queue that the doctor would have made
    rabbit.publish(queue, b"one")
    for name in RABBITMQ:
        assert find(name, setup).level is Level.OK
    ((properties, body),) = rabbit.take_whole(queue)
    assert (body, (properties.headers or {}).get("x-delivery-count", 0)) == (b"one", 0)


def test_a_rabbitmq_that_is_away(app_database_url: str, queue: str) -> None:
    url = f"amqp://someone:hunter2@127.0.0.1:{free_port()}/"
    found = find("rabbitmq", setup_for(app_database_url, url, queue))
    assert found.level is Level.ERROR
    assert found.found.startswith("RabbitMQ cannot be reached: ")
    assert "hunter2" not in str(found)


def test_a_wrong_password(app_database_url: str, amqp_url: str, queue: str) -> None:
    url = re.sub("//.*@", "//nobody:hunter2@", amqp_url)
    found = find("rabbitmq", setup_for(app_database_url, url, queue))
    assert found.level is Level.ERROR
    assert "hunter2" not in str(found)


def test_no_address_of_rabbitmq(setup: Setup) -> None:
    settings = setup.settings.model_copy(update={"amqp_url": None})
    found = find("rabbitmq", replace(setup, settings=settings))
    assert (found.level, found.found[:19]) == (Level.SKIPPED, "AMQP_URL is not set")


def test_a_rabbitmq_that_is_too_old(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "OLDEST", (99, 0))
    found = find("rabbitmq-version", setup)
    assert (found.level, found.change) == (Level.ERROR, "upgrade RabbitMQ to 99.0 or newer")


def test_a_classic_queue(setup: Setup, rabbit: Rabbit, queue: str) -> None:
    rabbit.declare_classic(queue)
    found = find("queues", setup)
    assert found.level is Level.WARNING
    assert f"for queue '{queue}'" in found.found
    vhost = setup.broker.vhost
    assert commands_of(found.change) == [f"rabbitmqctl delete_queue -p {vhost} {queue}"]


def test_a_queue_that_belongs_to_a_connection_is_not_taken_for_well(
    setup: Setup, rabbit: Rabbit, queue: str
) -> None:
    rabbit.declare_exclusive(queue)
    found = find("queues", setup)
    assert found.level is Level.SKIPPED
    assert found.found.startswith(f"RabbitMQ does not compare {queue} (cannot obtain exclusive")


@pytest.mark.parametrize(
    ("argument", "value"), [("x-max-length", 5), ("x-message-ttl", 1000), ("x-expires", 60_000)]
)
def test_a_queue_that_drops_or_expires(
    setup: Setup, rabbit: Rabbit, queue: str, argument: str, value: int
) -> None:
    rabbit.declare(queue, **{argument: value})
    found = find("queues", setup)
    assert found.level is Level.WARNING
    assert f"'{argument}' for queue '{queue}'" in found.found

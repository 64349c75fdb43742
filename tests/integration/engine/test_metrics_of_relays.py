"""What a relay tells of its servers, and of the messages that these lose."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from outbox.amqp import queue_depths
from outbox.metrics.processes import RelayMetrics
from outbox.relay import unpublishable
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for


@pytest.fixture
def metrics() -> Iterator[RelayMetrics]:
    metrics = RelayMetrics()
    yield metrics
    metrics.close()


def value(metrics: RelayMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


def wait_for_up(metrics: RelayMetrics, *, postgres: int, broker: int) -> None:
    wait_for(
        f"postgres {postgres}, broker {broker}",
        lambda: (
            value(metrics, "duly_up", server="postgres") == postgres
            and value(metrics, "duly_up", server="broker") == broker
        ),
    )


def test_a_broker_is_down_from_its_loss_until_it_is_reached_again(
    line: Line, proxy: Proxy, amqp_url: str, queue: str, metrics: RelayMetrics
) -> None:
    line.start_relay(queue, amqp_url=proxy.url(amqp_url))
    wait_for_up(metrics, postgres=1, broker=1)
    proxy.refuse()
    wait_for_up(metrics, postgres=1, broker=0)
    proxy.admit()
    wait_for_up(metrics, postgres=1, broker=1)


def test_postgres_is_up_again_after_its_connections_were_cut(
    line: Line, queue: str, cut_postgres: Callable[[], int], metrics: RelayMetrics
) -> None:
    line.start_relay(queue)
    wait_for_up(metrics, postgres=1, broker=1)
    assert cut_postgres() >= 1
    wait_for_up(metrics, postgres=0, broker=1)
    wait_for_up(metrics, postgres=1, broker=1)


def test_a_lost_message_is_counted_when_it_is_published_again(
    line: Line, rabbit: Rabbit, queue: str, by_hand: ByHand, metrics: RelayMetrics
) -> None:
    line.start_relay(queue, patience=timedelta(seconds=0.2))
    job = by_hand.submit(queue)
    wait_for("its publication", lambda: by_hand.event(job) is None)
    rabbit.delete(queue)
    rabbit.declare(queue)
    wait_for("the second", lambda: value(metrics, "duly_confirmed_total", queue=queue) == 2)
    assert value(metrics, "duly_published_total", queue=queue) == 2
    assert value(metrics, "duly_redispatches_total", queue=queue) == 1


def test_a_message_without_a_queue_is_returned_and_not_confirmed(
    line: Line,
    queue: str,
    by_hand: ByHand,
    metrics: RelayMetrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unpublishable, "FAILURES_ALLOWED", 2)
    monkeypatch.setattr(queue_depths.Queues, "_depth", _pretend_it_is_empty)
    job = by_hand.submit(queue)
    line.start_relay(queue)
    dead = {"kind": by_hand.job(job)["kind"], "reason": "unpublishable"}
    wait_for("its end", lambda: value(metrics, "duly_dead_total", **dead) == 1)
    assert value(metrics, "duly_published_total", queue=queue) == 2
    assert value(metrics, "duly_returned_total", queue=queue) == 2
    assert value(metrics, "duly_confirmed_total", queue=queue) == 0


async def _pretend_it_is_empty(_: object, queue: str) -> int:
    """In place of declaring the queue, as when it is deleted right afterwards."""
    return 0

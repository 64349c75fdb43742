"""A connection to RabbitMQ, as relays use it."""

import asyncio

import pytest

from outbox.amqp.connection import connect


def test_a_cancellation_as_the_connection_ends_is_not_lost(amqp_url: str) -> None:
    async def end_and_cancel() -> None:
        async with connect(amqp_url) as connection:
            ending = asyncio.create_task(connection.end())
            connection.pika_connection.add_on_close_callback(lambda *_: ending.cancel())
            with pytest.raises(asyncio.CancelledError):
                await ending

    asyncio.run(end_and_cancel())


def test_a_cancellation_while_the_connection_ends_leaves_no_socket_open(amqp_url: str) -> None:
    async def cancel_and_look() -> None:
        async with connect(amqp_url) as connection:
            ending = asyncio.create_task(connection.end())
            await asyncio.sleep(0)  # it has begun, and the broker has not answered
            ending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ending
            assert connection.pika_connection.is_closed

    asyncio.run(cancel_and_look())

"""A connection to RabbitMQ, awaited instead of called back.

pika's AsyncioConnection runs on asyncio's loop. So the relay's broker and database I/O share one
thread, nothing needs a lock, and nothing is handed from thread to thread.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.blocking_connection import BlockingConnection
from pika.adapters.utils.connection_workflow import (
    AMQPConnectorException,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import AMQPError

from outbox.amqp.odd_headers import tolerate
from outbox.resolver import Resolver

tolerate()

ANSWER_TIMEOUT_SECONDS = 10
NO_ANSWER = "it does not answer"
HEARTBEAT_SECONDS = 15
FAREWELL_SECONDS = 2

RESOLVER = Resolver(threads=4)


class BrokerGone(Exception):
    """The broker cannot be reached, or the connection to it was lost."""


class BrokerConnection:
    """An open connection, until it is `lost`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done once the connection has ended; the result says why."""
        self.unblocked = asyncio.Event()
        """Cleared while the broker blocks publishers."""
        self.unblocked.set()
        self._ended = asyncio.Event()
        self.pika_connection: AsyncioConnection

    async def open(self, node: pika.URLParameters) -> None:
        """Connect. Raises BrokerGone."""
        opened: asyncio.Future[AsyncioConnection] = self._loop.create_future()
        self.pika_connection = AsyncioConnection(
            node,
            on_open_callback=opened.set_result,
            on_open_error_callback=self._connection_ended,
            on_close_callback=self._connection_ended,
        )
        await self.first_of(opened)
        self.pika_connection.add_on_connection_blocked_callback(lambda *_: self.unblocked.clear())
        self.pika_connection.add_on_connection_unblocked_callback(lambda *_: self.unblocked.set())

    async def first_of(self, *answers: "asyncio.Future[Any]") -> None:
        """Wait for any of the answers.

        Raises BrokerGone if the connection is lost, or after ANSWER_TIMEOUT_SECONDS.
        """
        await asyncio.wait(
            {*answers, self.lost},
            timeout=ANSWER_TIMEOUT_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        self.check()
        if not any(answer.done() for answer in answers):
            raise BrokerGone(NO_ANSWER)

    @property
    def largest_frame(self) -> int:
        """The most bytes of a frame that both sides have agreed on."""
        return int(self.pika_connection.params.frame_max)

    def write(self, frames: bytes) -> None:
        """Send encoded frames in one piece."""
        # pika's public methods encode the frames themselves.
        self.pika_connection._output_marshaled_frames([frames])  # noqa: SLF001

    def close(self) -> None:
        """Close the connection; the fate of what the broker did not confirm is unknown."""
        if not (self.pika_connection.is_closing or self.pika_connection.is_closed):
            self.pika_connection.close()

    async def end(self) -> None:
        """Close, and wait up to FAREWELL_SECONDS for the broker, so that no socket stays open.

        A task that is cancelled meanwhile waits all the same, and is cancelled then.
        """
        self.close()
        farewell = asyncio.create_task(self._wait_for_farewell())
        try:
            await asyncio.shield(farewell)
        except asyncio.CancelledError:
            await farewell
            raise

    async def _wait_for_farewell(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._ended.wait()

    def check(self) -> None:
        """Raise BrokerGone if the connection is lost."""
        if self.lost.done():
            raise BrokerGone(self.lost.result())

    def lose(self, why: str) -> None:
        """Give the connection up: whoever waits on it gets BrokerGone."""
        if not self.lost.done():
            self.lost.set_result(why)
            self.close()

    def _connection_ended(self, _: AsyncioConnection, error: BaseException | str) -> None:
        self._ended.set()
        self.lose(str(error) or type(error).__name__)


@asynccontextmanager
async def connect(amqp_url: str) -> AsyncIterator[BrokerConnection]:
    """An open connection, closed at the end. Raises BrokerGone if no node can be reached."""
    connection = await _open_first(parameters(amqp_url))
    try:
        yield connection
    finally:
        await connection.end()


async def _open_first(nodes: list[pika.URLParameters]) -> BrokerConnection:
    *others, last = nodes
    for node in others:
        with suppress(BrokerGone):
            return await _open(node)
    return await _open(last)


async def _open(node: pika.URLParameters) -> BrokerConnection:
    try:  # pika would not say that it is the name server that does not answer
        await asyncio.to_thread(RESOLVER.resolve, node.host, node.port)
    except OSError as error:
        raise BrokerGone(str(error)) from None
    connection = BrokerConnection()
    try:
        await connection.open(node)
    except BaseException:
        await connection.end()
        raise
    return connection


def parameters(amqp_url: str) -> list[pika.URLParameters]:
    """The parameters of each node of a cluster, in the order in which to try them.

    `amqp_url` holds the nodes' URLs, separated by `;`. The heartbeat is short enough to detect a
    half-open connection in time.
    """
    return [_parameters(url) for url in amqp_url.split(";")]


def only_node(amqp_url: str) -> tuple[str, int] | None:
    """The host and port of the broker; None if there are several nodes."""
    node, *others = parameters(amqp_url)
    return None if others else (node.host, node.port)


@contextmanager
def look(amqp_url: str, seconds: float) -> Iterator[BlockingConnection]:
    """A connection for probing the broker. Gives a silent node or name server up after `seconds`.

    Raises BrokerGone if no node can be reached, or if the connection is lost in the block.
    """
    try:
        with BlockingConnection(_impatient(amqp_url, seconds)) as connection:
            yield connection
    except AMQPConnectorStackTimeout:
        raise BrokerGone(NO_ANSWER) from None
    except (AMQPError, AMQPConnectorException, OSError, ValueError) as error:
        # pika has two families of errors: a handshake that times out raises no AMQPError.
        raise BrokerGone(str(error).strip() or type(error).__name__) from None


def server_version(connection: BlockingConnection) -> str:
    """RabbitMQ's version, such as `3.10.8`, as it said when this was connected."""
    told = connection._impl.server_properties or {}  # noqa: SLF001 - shown nowhere else
    return str(told.get("version", ""))


def _impatient(amqp_url: str, seconds: float) -> list[pika.URLParameters]:
    nodes = _resolvable(parameters(amqp_url), seconds)
    for node in nodes:
        node.connection_attempts = 1
        node.socket_timeout = node.stack_timeout = node.blocked_connection_timeout = seconds
    return nodes


def _resolvable(nodes: Iterable[pika.URLParameters], seconds: float) -> list[pika.URLParameters]:
    found: list[pika.URLParameters] = []
    for node in nodes:
        try:
            RESOLVER.resolve(node.host, node.port, seconds)
            found.append(node)
        except OSError as error:
            why = error
    if not found:
        raise why
    return found


def _parameters(url: str) -> pika.URLParameters:
    given = pika.URLParameters(url)
    if "heartbeat" not in parse_qs(urlsplit(url).query):
        given.heartbeat = HEARTBEAT_SECONDS
    return given

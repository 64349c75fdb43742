"""A client's connection, with limits on what it may send before its request is complete.

uvicorn's httptools protocol limits neither heads nor trailers, and adds trailers to the headers. It
is subclassed only here. tests/integration/http/test_heads.py tests what this relies on.
"""

import asyncio
from collections.abc import Sized
from enum import Enum, auto
from http import HTTPStatus

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from outbox.http.problems import types
from outbox.http.problems.problem import Problem, answer

LARGEST_HEAD = 32 * 1024
"""Bytes of a head, or of trailers. One read more or less may be counted at either end."""
MOST_FIELDS = 100
HEAD_SECONDS = 20
"""Time limit for a head, and for the rest of a body whose request has been answered."""
HEAD_READ = 4 * 1024
BODY_READ = 64 * 1024

log = structlog.stdlib.get_logger(__name__)


class _Part(Enum):
    """The part of a request that is being received."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """Answers 431 to a head that is too large, 408 to one that is too slow; drops trailers.

    Until the application asks for the body, only what came with the head is read of it. While
    requests are queued, no further ones are read.
    """

    _part = _Part.NOTHING
    _size = 0
    _fields = 0
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    @property
    def read_size(self) -> int:
        """The largest number of bytes that the next read may take."""
        return BODY_READ if self._part is _Part.BODY else HEAD_READ

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the idle timeout, also for a client that sends nothing at all."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, unless the connection is about to be closed."""
        if self._refused:
            return
        self._size += len(data)
        began = self._part
        super().data_received(data)
        if self._refused:
            return
        if self._size > LARGEST_HEAD:
            self._refuse(_too_large())
        elif self._part is _Part.BODY and began is not _Part.BODY:
            self.flow.pause_reading()  # until the application asks for the body
        self._update_timer()

    def on_message_begin(self) -> None:
        """Start counting a head."""
        super().on_message_begin()
        self._part, self._size, self._fields = _Part.HEAD, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, drop a trailer. What this raises leads to `send_400_response`."""
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise ValueError("too many header fields")
        if self._part is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the timer: the head was complete in time."""
        self._stop_timer()
        self._part, self._size = _Part.BODY, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count from here: what follows may be trailers."""
        self._size = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._stop_timer()
        self._part, self._size = _Part.NOTHING, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Limit the time for the rest of the body, which is dropped."""
        super().on_response_complete()
        self._update_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP with a problem."""
        many = self._fields > MOST_FIELDS
        self._refuse(_too_large() if many else Problem(types.BAD_REQUEST, msg))

    def _update_timer(self) -> None:
        """Run the timer while a head, trailers or the rest of an answered body is due."""
        left_over = self._part is _Part.BODY and self.cycle.response_complete
        if not (self._part is _Part.HEAD or self._size or left_over):
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self._part is _Part.BODY:
            self.transport.close()  # the request was answered
        else:
            self._refuse(Problem(types.TOO_SLOW, f"the head took more than {HEAD_SECONDS} s"))

    def _refuse(self, problem: Problem) -> None:
        """Read no more, and close: after this answer, or after earlier answers still due."""
        self._refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        log.info("refused an incomplete request", status=problem.status_code)
        if self._may_answer_now():
            self.transport.write(self._encode(problem))
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _may_answer_now(self) -> bool:
        """Whether the client cannot take an answer now for that to an earlier request."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return not self.pipeline and self.cycle.more_body and not self.cycle.response_started

    def _encode(self, problem: Problem) -> bytes:
        response = answer(problem)
        status = HTTPStatus(response.status_code)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        own = self.server_state.default_headers + response.raw_headers
        head += [name + b": " + value for name, value in own]
        return b"\r\n".join([*head, b"connection: close", b"", bytes(response.body)])


class _Flow(FlowControl):
    """Reads no more while requests are queued: a small request becomes many large objects."""

    def __init__(self, transport: asyncio.Transport, queued: Sized) -> None:
        super().__init__(transport)
        self._queued = queued

    def resume_reading(self) -> None:
        """Read again, unless requests are queued."""
        if not self._queued:
            super().resume_reading()


def _too_large() -> Problem:
    limits = f"{LARGEST_HEAD} bytes and {MOST_FIELDS} fields"
    return Problem(types.HEAD_TOO_LARGE, f"a head, or trailers, may have up to {limits}")

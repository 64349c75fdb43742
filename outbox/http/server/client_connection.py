"""A client's connection, which may take little before its request is whole.

uvicorn's protocol for httptools limits neither heads nor trailers, and lets trailers pass for
headers. It is subclassed here and nowhere else; tests/integration/http/test_heads.py is what this
relies on.
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
"""Bytes of a head, and of trailers, give or take a read on either side."""
MOST_FIELDS = 100
HEAD_SECONDS = 20
"""How long a head may take, and the rest of a body whose request has been answered."""
HEAD_READ = 4 * 1024
BODY_READ = 64 * 1024

log = structlog.stdlib.get_logger(__name__)


class _Part(Enum):
    """What of a request comes next."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """Answers 431 to a head that is too large, 408 to one that is too slow; drops trailers.

    Until the application asks for the body, what came along with the head is all that is read of
    it. While requests wait for their turn, no further ones are read.
    """

    _part = _Part.NOTHING
    _size = 0
    _fields = 0
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    @property
    def read_size(self) -> int:
        """How many bytes to take at most with the next read."""
        return BODY_READ if self._part is _Part.BODY else HEAD_READ

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Who sends nothing at all is idle, too."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the connection is about to end."""
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
        self._watch()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._part, self._size, self._fields = _Part.HEAD, 0, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header and drop a trailer. What is raised here ends as `send_400_response`."""
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise ValueError("too many header fields")
        if self._part is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head was whole in time."""
        self._stop_timer()
        self._part, self._size = _Part.BODY, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What follows is counted from here: it may be a trailer."""
        self._size = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request may begin."""
        self._stop_timer()
        self._part, self._size = _Part.NOTHING, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What is left of the body is dropped, but not for ever."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, as a problem."""
        many = self._fields > MOST_FIELDS
        self._refuse(_too_large() if many else Problem(types.BAD_REQUEST, msg))

    def _watch(self) -> None:
        """Limit the time of what must not take long."""
        left_over = self._part is _Part.BODY and self.cycle.response_complete
        if not (self._part is _Part.HEAD or self._size or left_over):
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._part is _Part.BODY:
            self.transport.close()  # it has its answer
        else:
            self._refuse(Problem(types.TOO_SLOW, f"the head took over {HEAD_SECONDS} s"))

    def _refuse(self, problem: Problem) -> None:
        """Take nothing more, and hang up: with this answer, or after those that are owed first."""
        self._refused = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        log.info("refused before it was a request", status=problem.status_code)
        if self._is_next_answer():
            self.transport.write(self._raw(problem))
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _is_next_answer(self) -> bool:
        """Whether the client would not take the answer for that to an earlier request."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return not self.pipeline and self.cycle.more_body and not self.cycle.response_started

    def _raw(self, problem: Problem) -> bytes:
        response = answer(problem)
        status = HTTPStatus(response.status_code)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        own = self.server_state.default_headers + response.raw_headers
        head += [name + b": " + value for name, value in own]
        return b"\r\n".join([*head, b"connection: close", b"", bytes(response.body)])


class _Flow(FlowControl):
    """Reads no further requests while some wait: each small one would make many large objects."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read again, if no request waits for its turn."""
        if not self._waiting:
            super().resume_reading()


def _too_large() -> Problem:
    limits = f"{LARGEST_HEAD} bytes and {MOST_FIELDS} fields"
    return Problem(types.HEAD_TOO_LARGE, f"a head, or trailers, may have {limits}")

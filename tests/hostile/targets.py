"""Servers that a webhook should better not be sent to, each by the path that is called."""

import itertools
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event

from tests.support.network.threaded import serving

HEAD = b"HTTP/1.1 500 No\r\n"
KILOBYTES = b"x" * 64 * 1024


class Target(ThreadingTCPServer):
    """Speaks raw bytes over TCP; what it says, `ANSWERS` has by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.called: list[str] = []
        self.closing = Event()

    @property
    def address(self) -> str:
        """Where it is, as URLs have it."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(StreamRequestHandler):
    server: Target

    def handle(self) -> None:
        with suppress(OSError, LookupError, UnicodeError):  # it left, or is no HTTP client
            path = self.rfile.readline().split()[1].decode()
            while self.rfile.readline().strip():
                pass
            self.server.called.append(path)
            for said in ANSWERS[path]():
                self.request.sendall(said)
                if self.server.closing.is_set():
                    return
            if path in SILENT:
                self.server.closing.wait()


def target(context: ssl.SSLContext | None = None) -> AbstractContextManager[Target]:
    """Runs a target, with TLS where a context is given."""
    target = Target()
    return serving(target, target.closing, context)


def _for_ever(beginning: bytes, again: bytes) -> Iterator[bytes]:
    return itertools.chain([beginning], itertools.repeat(again))


def _drip(beginning: bytes) -> Iterator[bytes]:
    for byte in itertools.chain(beginning, itertools.repeat(ord("x"))):
        yield bytes([byte])
        time.sleep(0.5)


def _bomb() -> Iterator[bytes]:
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    packer = zlib.compressobj(9, wbits=31)
    while True:
        yield packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)


def _many_headers() -> Iterator[bytes]:
    yield HEAD
    for number in itertools.count():
        yield b"".join(b"X-%d-%d: %s\r\n" % (number, n, b"y" * 50) for n in range(1000))


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, Callable[[], Iterator[bytes]]] = {
    "/silent": lambda: iter([]),
    "/silent-in-head": lambda: iter([HEAD]),
    "/silent-in-body": lambda: iter([HEAD + b"Content-Length: 9\r\n\r\n123"]),
    "/dripping-head": lambda: _drip(HEAD),
    "/dripping-body": lambda: _drip(HEAD + b"\r\n"),
    "/gigabytes": lambda: _for_ever(HEAD + b"\r\n", KILOBYTES),
    "/gzip-bomb": _bomb,
    "/endless-status": lambda: _for_ever(b"HTTP/1.1 500 ", KILOBYTES),
    "/endless-header": lambda: _for_ever(HEAD + b"X: ", KILOBYTES),
    "/many-headers": _many_headers,
    "/endless-continue": lambda: _for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "/endless-chunks": lambda: _for_ever(CHUNKED, b"1\r\nx\r\n" * 1000),
    "/endless-chunk-extension": lambda: _for_ever(CHUNKED + b"1;", KILOBYTES),
    "/endless-trailer": lambda: _for_ever(CHUNKED + b"0\r\nX: ", KILOBYTES),
    "/closed": lambda: iter([]),
    "/closed-in-head": lambda: iter([HEAD]),
    "/closed-in-body": lambda: iter([HEAD + b"Content-Length: 9\r\n\r\n123"]),
    "/garbage": lambda: iter([bytes(range(256)) * 10]),
    "/another-protocol": lambda: iter([b"220 mail.example ESMTP\r\n"]),
    "/impossible-status": lambda: iter([b"HTTP/1.1 99 No\r\n\r\n"]),
    "/impossible-length": lambda: iter([HEAD + b"Content-Length: -1\r\n\r\n"]),
    "/two-lengths": lambda: iter([HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"]),
    "/not-ascii": lambda: iter([b"HTTP/1.1 500 \xff\xfe\r\n\xff: \x00\r\n\r\n"]),
    "/moved": lambda: iter([b"HTTP/1.1 307 Moved\r\nLocation: /secret\r\n\r\n"]),
    "/secret": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]),
    "/good": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]),
}
SILENT = {"/silent", "/silent-in-head", "/silent-in-body"}
"""These keep the connection open when they have said what they say."""

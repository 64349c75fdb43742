"""Serves the HTTP API, and shuts it down within a time limit."""

import asyncio
import faulthandler
import signal
import socket
from contextlib import suppress
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from outbox.http.server.client_reads import HTTP
from outbox.http.server.shutdown import Shutdown

log = structlog.get_logger(__name__)

# Longer than most clients and proxies keep an idle connection (Google's load balancer: 600 s). The
# client should be the one to close it: otherwise it may send a request while the server closes.
IDLE_SECONDS = 620
UNREADY_SECONDS = 3
"""How long connections are still accepted after SIGTERM, while `/readyz` answers 503."""
ANSWERING_SECONDS = 20
"""How long running requests may take after that: as long as any request may take."""
CLOSING_SECONDS = 1
LONGEST_SECONDS = 25
"""The process has ended this long after the signal, whatever its clients and servers do."""


class Server(uvicorn.Server):
    """uvicorn's server, which ends within LONGEST_SECONDS of SIGTERM or SIGINT.

    After SIGTERM it first gives load balancers UNREADY_SECONDS to notice. Then it accepts no more
    connections, cancels uploads, and answers the requests that have arrived. A request that is
    still running after ANSWERING_SECONDS waits for a client that does not read, or for a Postgres
    that does not answer. After a second signal it waits for nothing: requests that still run get no
    answer, and what they have not committed is rolled back.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HTTP,
                ws="none",
                host=host,
                port=port,
                log_config=None,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=ANSWERING_SECONDS,
            )
        )
        self._shutdown_state: Shutdown = app.state.shutdown
        self.ended_by: int | None = None
        """The signal that started the shutdown."""
        self._told_again = asyncio.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal. Leaves the event loop open: the process must exit now."""
        # Closing it would wait for its threads, one of which may wait for a silent name server.
        self._runner = asyncio.Runner(loop_factory=self.config.get_loop_factory())
        self._runner.run(self.serve(sockets))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Start the shutdown. After a second signal it waits for nothing."""
        if self.ended_by is None:
            faulthandler.dump_traceback_later(LONGEST_SECONDS - CLOSING_SECONDS / 2, exit=True)
            self.ended_by = sig
            self.should_exit = True
        else:
            self._runner.get_loop().call_soon_threadsafe(self._told_again.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down in the order that the class describes."""
        stopping = asyncio.create_task(self._shut_down(sockets))
        told_again = asyncio.create_task(self._told_again.wait())
        await asyncio.wait({stopping, told_again}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            told_again.cancel()
            await stopping
            return
        running = len(self.server_state.tasks)
        log.warning("api stopped at once", why="it was told to stop again", running=running)

    async def _shut_down(self, sockets: list[socket.socket] | None) -> None:
        self._shutdown_state.begin()
        if self.ended_by == signal.SIGTERM:
            await asyncio.sleep(UNREADY_SECONDS)
        self._shutdown_state.cancel_uploads()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERING_SECONDS + CLOSING_SECONDS):
                await super().shutdown(sockets)

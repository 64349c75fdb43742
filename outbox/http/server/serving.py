"""How the HTTP API is served, and how serving ends."""

import asyncio
import faulthandler
import signal
import socket
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from outbox.http.server.client_reads import HTTP
from outbox.http.server.stopping import Stopping

# Longer than most clients and proxies keep an idle connection (Google's load balancer: 600 s). Who
# sends requests should be who hangs up: otherwise one may meet a connection that is closing.
IDLE_SECONDS = 620
UNREADY_SECONDS = 3
"""After SIGTERM, how long connections are still accepted while `/readyz` says 503."""
ANSWERING_SECONDS = 20
"""Then, how long what runs may take, which is as long as any request may take."""
CLOSING_SECONDS = 1
LONGEST_SECONDS = 25
"""Within so long after the signal the process has ended, whatever its clients and servers do."""


class Server(uvicorn.Server):
    """uvicorn's server, which ends within LONGEST_SECONDS of SIGTERM or SIGINT.

    After SIGTERM it first gives load balancers UNREADY_SECONDS to notice. Then it accepts nothing
    more, breaks uploads off, and lets requests that have arrived get their answers. What is left
    then waits for its client, who does not read, or for a Postgres that does not answer.
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
        self._stopping: Stopping = app.state.stopping
        self.ended_by: int | None = None
        """The signal that it was told to end by."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal. The event loop is not closed: the process must end now."""
        # Closing it would wait for its threads, one of which may ask a silent name server.
        self._runner = asyncio.Runner(loop_factory=self.config.get_loop_factory())
        self._runner.run(self.serve(sockets))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin to end; a second SIGINT waits for nothing."""
        if self.ended_by is None:
            faulthandler.dump_traceback_later(LONGEST_SECONDS - CLOSING_SECONDS / 2, exit=True)
            self.ended_by = sig
            self.should_exit = True
        elif sig == signal.SIGINT:
            self.force_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in the order that the class describes."""
        self._stopping.begin()
        if self.ended_by == signal.SIGTERM:
            await asyncio.sleep(UNREADY_SECONDS)
        self._stopping.break_off_uploads()
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERING_SECONDS + CLOSING_SECONDS):
                await super().shutdown(sockets)

"""Whether somebody asked to cancel a running job, and when its actor may hear of it."""

import asyncio
import threading
from collections.abc import Callable


def _nobody() -> None:
    """Nothing runs yet, or not where it can be interrupted."""


class Cancellation:
    """Interrupts the actor once, as soon as nothing holds that back."""

    def __init__(self) -> None:
        self.is_asked = False
        self._lock = threading.Lock()
        self._holds = 0
        self._is_over = False
        self._interrupt: Callable[[], None] = _nobody
        self._call: Callable[[Callable[[], None]], object] | None = None

    def run_by(
        self,
        interrupt: Callable[[], None],
        call: Callable[[Callable[[], None]], object] = lambda function: function(),
    ) -> None:
        """The actor is about to start: `interrupt` interrupts it, if called by `call`.

        If it was asked for already, that happens now.
        """
        self._interrupt, self._call = interrupt, call
        if self.is_asked:
            call(self.deliver)

    def ask(self) -> None:
        """Interrupt the actor, now or once nothing holds that back. From any thread."""
        self.is_asked = True
        if self._call is not None:
            self._call(self.deliver)

    def hold(self) -> None:
        """Do not interrupt the actor until `release`. An interruption on its way arrives here."""
        with self._lock:
            self._holds += 1
        _nobody()  # An exception sent to a thread arrives at its next call, so not after this one.

    def release(self) -> None:
        """Let the actor be interrupted again, and do it if it was asked for meanwhile."""
        with self._lock:
            self._holds -= 1
        if self.is_asked:
            self.deliver()

    def end(self) -> None:
        """Interrupt the actor no more: its work is done."""
        with self._lock:
            self._is_over = True

    def deliver(self) -> None:
        """Interrupt the actor if it was asked for, and nothing holds that back."""
        with self._lock:
            if not (self._holds or self._is_over) and self._call is not None:
                self._is_over = True
                self._interrupt()


class Shield:
    """A block in which the actor is not interrupted: entered by `with`, or by `async with`."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation

    def __enter__(self) -> None:
        self._cancellation.hold()

    def __exit__(self, *_: object) -> None:
        self._cancellation.release()

    async def __aenter__(self) -> None:
        self._cancellation.hold()

    async def __aexit__(self, *_: object) -> None:
        self._cancellation.release()
        await asyncio.sleep(0)  # a cancellation that was held back arrives here

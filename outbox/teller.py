"""How a failure is told: in texts that Postgres keeps, not too long, without sensitive values."""

import traceback
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from outbox.causes import causes
from outbox.kinds import Kind
from outbox.scrub import scrub

LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000

UNTOLD = {
    "outcome": "failed",
    "error_type": "Unknown",
    "error_message": "how it ended cannot be told",
    "traceback": None,
}
"""For the attempt that ended in a way that breaks whoever looks at it."""


class Teller:
    """Tells what went wrong with a job. It runs code of the errors: anything may be raised."""

    def __init__(self, kind: Kind[..., Any], payload: Mapping[str, Any]) -> None:
        self._kind = kind
        self._payload = payload

    def record(self, outcome: str, error: BaseException) -> dict[str, Any]:
        """How the attempt ended, in the columns of its record."""
        told = {"outcome": outcome, "error_type": self._clean(type(error).__qualname__)}
        try:
            trace = _shortened(self._clean(_trace(error)), LONGEST_TRACEBACK)
            return told | {"error_message": self.text(error), "traceback": trace}
        except MemoryError:
            return told | {"error_message": "too long to be told", "traceback": None}

    def text(self, error: BaseException) -> str:
        """What the error says."""
        return self._clean(_said(error))[:LONGEST_MESSAGE]

    def _clean(self, text: str) -> str:
        """Without sensitive values, and without what Postgres cannot keep in a text."""
        scrubbed = scrub(text, self._kind, self._payload)
        return scrubbed.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _said(error: BaseException) -> str:
    """The error's text; of a validation error without the input, which it quotes shortened."""
    try:
        if isinstance(error, ValidationError):
            return str(error.errors(include_input=False, include_url=False))
        return str(error)
    except Exception as no_words:  # noqa: BLE001 - an error that cannot be told is still an error
        return f"its text raises {type(no_words).__qualname__}"


def _shortened(text: str, longest: int) -> str:
    """Beginning and end of a long text: in a traceback the actor's lines, and the error."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n[...]\n{text[-half:]}"


def _trace(error: BaseException) -> str:
    """The traceback from the actor on."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_globals.get("__name__") == "outbox.attempt":
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    for each in causes(error):
        if isinstance(each, ValidationError):
            text = text.replace(str(each), _said(each))
    return text

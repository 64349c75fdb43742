"""Describes a failure in text that Postgres can store: bounded, without sensitive values."""

import traceback
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from outbox.kinds import Kind
from outbox.postgres.causes import causes
from outbox.redaction.scrub import scrub

LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000

Failure = dict[str, Any]
"""The columns that describe a failure in `duly.attempts`."""

RUNNERS = (
    "outbox.worker.runners.threads",
    "outbox.worker.runners.tasks",
    "outbox.testing.inline_worker",
    "outbox.actors",
)
"""The modules whose frames come before the actor's own."""

UNKNOWN_FAILURE: Failure = {
    "outcome": "failed",
    "error_type": "Unknown",
    "error_message": "how it ended cannot be told",
    "traceback": None,
}
"""For an attempt whose error breaks the code that inspects it."""


class FailureRecorder:
    """Describes the errors of one job. This runs code of the errors, which may raise anything."""

    def __init__(self, kind: Kind[..., Any], payload: Mapping[str, Any]) -> None:
        self._kind = kind
        self._payload = payload

    def record(self, outcome: str, error: BaseException) -> Failure:
        """The failure as columns of the attempt's record."""
        failure: Failure = {"outcome": outcome, "error_type": self._clean(type(error).__qualname__)}
        try:
            trace = _truncated(self._clean(_traceback(error)), LONGEST_TRACEBACK)
            return failure | {"error_message": self.text(error), "traceback": trace}
        except MemoryError:
            return failure | {"error_message": "too large to be described", "traceback": None}

    def text(self, error: BaseException) -> str:
        """The error's message."""
        return self._clean(_message(error))[:LONGEST_MESSAGE]

    def _clean(self, text: str) -> str:
        """The text without sensitive values, and without what Postgres cannot store in a text."""
        scrubbed = scrub(text, self._kind, self._payload)
        return scrubbed.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _message(error: BaseException) -> str:
    """The error's message. A validation error quotes its input shortened; that is left out."""
    try:
        if isinstance(error, ValidationError):
            return str(error.errors(include_input=False, include_url=False))
        return str(error)
    except Exception as raised:  # noqa: BLE001 - an error without a message is still an error
        return f"its text raises {type(raised).__qualname__}"


def _truncated(text: str, longest: int) -> str:
    """The start and end of a long text: of a traceback, the actor's lines and the error."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n[...]\n{text[-half:]}"


def _traceback(error: BaseException) -> str:
    """The traceback without the leading frames of what runs the actor."""
    frames = error.__traceback__
    while frames and frames.tb_frame.f_globals.get("__name__") in RUNNERS:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    for each in causes(error):
        if isinstance(each, ValidationError):
            text = text.replace(str(each), _message(each))
    return text

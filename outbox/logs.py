"""Configures logging: one structured log per process, on stderr.

A worker logs a line for each job, so our lines must cost only microseconds: structlog writes them
straight to stderr. Libraries use Python's logging; their lines are rendered the same way.
"""

import logging
import re
import sys
import traceback
from contextlib import suppress
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from outbox.settings import Settings
from outbox.tracing.tracer import installed
from outbox.values.printable import plain, plain_lines

MULTILINE = ("exception", "stack")
HEAD = ("timestamp", "level", "logger", "event")
UNQUOTED = re.compile(r"[^\s='\"]+").fullmatch
"""Matches a value that needs no quotes."""


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (tracer := installed()) is not None:
        event.update(tracer.current_ids())
    return event


ENRICH: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_trace,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(settings: Settings) -> None:
    """Send the logs of Duly and of every library through structlog to stderr.

    Call it once, at the start of the process.
    """
    stderr = sys.stderr
    structlog.configure(
        processors=[*ENRICH, *_renderers(settings.log_format)],
        logger_factory=lambda name=None: _LineLogger(name, stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=ENRICH,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings.log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for chatty in ("uvicorn.access", "httpx2", "stripe"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Duly logs an outage and a request itself, in one line.
    for verbose in ("pika", "psycopg.pipeline", "asgi_correlation_id"):
        logging.getLogger(verbose).setLevel(logging.CRITICAL)


class _LineLogger(structlog.WriteLogger):
    """Writes the lines of one module. A line that cannot be written is dropped without an error."""

    def __init__(self, name: str | None, file: TextIO) -> None:
        super().__init__(file)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # the disk is full, or the pipe or file is closed
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def _renderers(log_format: str) -> list[Processor]:
    tracebacks: list[Processor] = [structlog.processors.format_exc_info, _without_rows]
    if log_format == "json":
        return [*tracebacks, structlog.processors.JSONRenderer()]
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback)
        return [_printable, renderer]
    return [*tracebacks, _printable, _line]


def _line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """The line that ConsoleRenderer writes without colors, in a fraction of its time."""
    below = [event.pop(name) for name in MULTILINE if name in event]
    when, level, name, what = (event.pop(each, "") for each in HEAD)
    pairs = [
        f" {key}={value if isinstance(value, str) and UNQUOTED(value) else repr(value)}"
        for key, value in event.items()
    ]
    return "\n".join([f"{when} [{level:<9}] {what:<30} [{name}]{''.join(pairs)}", *below])


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape control characters. Much of what is logged comes from outside."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = plain_lines(value) if name in MULTILINE else plain(value)
    return event


def _without_rows(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = _hide_rows(event["exception"])
    return event


def _plain_traceback(out: TextIO, error: ExcInfo) -> None:
    """A traceback without local variables: those may hold payloads and secrets."""
    out.write("\n" + plain_lines(_hide_rows("".join(traceback.format_exception(*error)))))


def _hide_rows(text: str) -> str:
    """Remove the values that Postgres quotes in an error's DETAIL and CONTEXT."""
    return re.sub(r"(?m)^(DETAIL:|CONTEXT:).*$", r"\1 (not logged)", text)

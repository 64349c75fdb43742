"""One log for everything a process says: structured, on stderr.

A worker writes a line for each job, so a line of ours costs few microseconds: it goes from
structlog straight to stderr. Lines of libraries come from Python's logging, and look the same.
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
from outbox.values.printable import plain, plain_lines

OF_MANY_LINES = ("exception", "stack")
HEAD = ("timestamp", "level", "logger", "event")
BARE = re.compile(r"[^\s='\"]+").fullmatch
"""What needs no quotes."""
ENRICH: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(settings: Settings) -> None:
    """Send the logs of this code and of every library through structlog, to stderr.

    Call it once, when a process starts.
    """
    stderr = sys.stderr
    structlog.configure(
        processors=[*ENRICH, *_rendered(settings.log_format)],
        logger_factory=lambda name=None: _Lines(name, stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=ENRICH,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(settings.log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for chatty in ("uvicorn.access", "httpx2", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for verbose in ("pika", "psycopg.pipeline"):  # an outage is told by us, in one line
        logging.getLogger(verbose).setLevel(logging.CRITICAL)


class _Lines(structlog.WriteLogger):
    """Writes the lines of one module. A line that cannot be written is lost, and nothing else."""

    def __init__(self, name: str | None, file: TextIO) -> None:
        super().__init__(file)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # a full disk, or a pipe or file that was closed
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def _rendered(log_format: str) -> list[Processor]:
    tracebacks: list[Processor] = [structlog.processors.format_exc_info, _without_rows]
    if log_format == "json":
        return [*tracebacks, structlog.processors.JSONRenderer()]
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=_plain_traceback)
        return [_printable, renderer]
    return [*tracebacks, _printable, _line]


def _line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """What ConsoleRenderer writes without colors, in a fraction of the time."""
    below = [event.pop(name) for name in OF_MANY_LINES if name in event]
    when, level, name, what = (event.pop(each, "") for each in HEAD)
    pairs = [
        f" {key}={value if isinstance(value, str) and BARE(value) else repr(value)}"
        for key, value in event.items()
    ]
    return "\n".join([f"{when} [{level:<9}] {what:<30} [{name}]{''.join(pairs)}", *below])


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Without what a terminal would obey: much of what is logged was written by others."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = plain_lines(value) if name in OF_MANY_LINES else plain(value)
    return event


def _without_rows(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "exception" in event:
        event["exception"] = _hide_rows(event["exception"])
    return event


def _plain_traceback(out: TextIO, error: ExcInfo) -> None:
    """The renderer's usual tracebacks show local variables, and so payloads and secrets."""
    out.write("\n" + plain_lines(_hide_rows("".join(traceback.format_exception(*error)))))


def _hide_rows(text: str) -> str:
    """Without the row that Postgres quotes in an error's DETAIL."""
    return re.sub(r"(?m)^(DETAIL:).*$", r"\1 (not logged)", text)

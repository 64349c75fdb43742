"""One log for everything a process says: structured, on stderr."""

import logging
import re
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from service.printable import plain, plain_lines
from service.settings import Settings

OF_MANY_LINES = ("exception", "stack")
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
    structlog.configure(
        processors=[*ENRICH, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
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


def _rendered(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            _without_rows,
            structlog.processors.JSONRenderer(),
        ]
    colors = sys.stderr.isatty()
    return [
        _printable,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_plain_traceback),
    ]


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

"""Makes a job of a foreign message, as its consumer says, or says why there can be none."""

from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from outbox.consumers import Consumer
from outbox.kinds import Work
from outbox.submission.submit import check
from outbox.values.way import way
from outbox.worker.receiving.envelope import Received, Unusable, opened

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Readable:
    """A message, its id, and the work that is to be submitted for it, if any."""

    received: Received
    message_id: str
    work: Work[Any] | None


def read(consumer: Consumer[Any], received: Received) -> Readable:
    """Call the consumer with the message. Raises Unusable."""
    envelope = opened(received)
    try:
        content = consumer.model.model_validate_json(envelope.json)
    except ValidationError as error:
        raise Unusable(f"its body does not fit the model: {_why(error)}") from None
    try:
        work = consumer(content, envelope.message)
        _check(work)
    except Exception as error:
        error_type = type(error).__qualname__
        log.error("consumer failed", queue=received.queue, error_type=error_type, stack=way(error))  # noqa: TRY400 - its text may quote the message
        raise Unusable(f"its consumer raised {type(error).__name__}, see the log") from error
    return Readable(received, envelope.message.id, work)


def _check(work: object) -> None:
    """Raises TypeError and ValueError for what cannot be submitted."""
    if work is None:
        return
    if not isinstance(work, Work):
        raise TypeError(f"it has to return KIND(...) or None, not {type(work).__name__}")
    check(work)


def _why(error: ValidationError) -> str:
    """Without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields = (": ".join(filter(None, (_place(each["loc"]), each["msg"]))) for each in found[:5])
    return "; ".join(fields)


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the body, such as `order.id`; empty for the whole."""
    return ".".join(map(str, location))

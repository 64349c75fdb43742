"""What a foreign message is: its id, and the JSON in it. CloudEvents' attributes are honoured."""

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from outbox.consumers import Message
from outbox.publishing.cloud_events import PREFIXES
from outbox.values import depth

LARGEST_BODY = 1_000_000
"""Bytes. A larger message becomes a dead letter: its sender should put its body into a store."""
LONGEST_ID = 1000
"""Characters."""
STRUCTURED = "application/cloudevents+json"
CHARSETS = ("", "utf-8", "us-ascii")


class Unusable(Exception):
    """No job can be made of the message; the text says why, and quotes nothing of it."""


class Received(NamedTuple):
    """A message as RabbitMQ delivers it."""

    queue: str
    exchange: str
    routing_key: str
    properties: Mapping[str, Any]
    body: bytes
    is_redelivered: bool
    acknowledge: Callable[[], None]
    """Takes it out of its queue, unless its channel has closed meanwhile."""

    @property
    def headers(self) -> dict[str, Any]:
        """Anything at all."""
        return self.properties.get("headers") or {}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message that can be read: what it says of itself, and its JSON."""

    message: Message
    json: bytes


def opened(received: Received) -> Envelope:
    """What is in the message. Raises Unusable."""
    if len(received.body) > LARGEST_BODY:
        raise Unusable(f"its body has more than {LARGEST_BODY} bytes")
    if received.properties.get("content_encoding"):
        raise Unusable("it is encoded, as compressed bodies are")
    media, charset = _content_type(received.properties.get("content_type"))
    if charset not in CHARSETS:
        raise Unusable("its charset is not UTF-8")
    if media == STRUCTURED:
        return _structured(received)
    if not (media in ("", "application/json") or media.endswith("+json")) or _is_other_cloud_event(
        media
    ):
        raise Unusable("its content type is not JSON")
    return Envelope(_message(received, _attributes(received.headers)), received.body)


def _content_type(text: object) -> tuple[str, str]:
    """The media type and charset, in lower case."""
    media, *parameters = str(text or "").lower().split(";")
    found = dict(each.strip().partition("=")[::2] for each in parameters)
    return media.strip(), found.get("charset", "").strip('"')


def _is_other_cloud_event(media: str) -> bool:
    """Whether it is a batch of events, or an event in another format than JSON."""
    return media.startswith("application/cloudevents")


def _structured(received: Received) -> Envelope:
    try:
        event = from_json(received.body)
    except ValueError:
        raise Unusable("it is not JSON") from None
    if not isinstance(event, dict):
        raise Unusable("it is no CloudEvent: not a JSON object")
    message = _message(received, event)
    if "data_base64" not in event:
        return Envelope(message, to_json(event.get("data")))
    try:
        return Envelope(message, b64decode(str(event["data_base64"]), validate=True))
    except (Error, ValueError):
        raise Unusable("its data_base64 is not base64") from None


def _attributes(headers: Mapping[str, Any]) -> dict[str, Any]:
    """CloudEvents' attributes in the headers, if it has the needed ones."""
    for prefix in PREFIXES:
        found = {
            name.removeprefix(prefix): value
            for name, value in headers.items()
            if name.startswith(prefix)
        }
        if {"id", "source"} <= found.keys():
            return found
    return {}


def _message(received: Received, attributes: Mapping[str, Any]) -> Message:
    source = _text(attributes.get("source"))
    return Message(
        id=_id(received, attributes, source),
        source=source,
        type=_text(attributes.get("type")) or _text(received.properties.get("type")),
        subject=_text(attributes.get("subject")),
        exchange=received.exchange,
        routing_key=received.routing_key,
        headers=depth.cut(received.headers),
    )


def _id(received: Received, attributes: Mapping[str, Any], source: str | None) -> str:
    """CloudEvents' source and id, which are one only together; else AMQP's message id."""
    event = _text(attributes.get("id"))
    found = f"{source} {event}" if source and event else None
    found = found or _text(received.properties.get("message_id"))
    if found is None:
        raise Unusable("it has no message id: done twice, it could not be recognised")
    if len(found) > LONGEST_ID or "\0" in found or not _is_unicode(found):
        raise Unusable(f"its message id is no text of up to {LONGEST_ID} characters")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)

"""Which text and JSON Postgres can store: its own refusal would come late, and quote the value."""

from pydantic import BaseModel

from outbox.values import depth, nul


def storable(text: str | None) -> str | None:
    """The text. Raises ValueError if Postgres would cut it off, or fail the commit for it."""
    if text is not None and b"\0" in text.encode():
        raise ValueError("subject and by may not contain NUL")
    return text


def payload_of(model: BaseModel) -> str:
    """The payload as JSON, in ASCII.

    Raises ValueError before Postgres refuses it with an error that quotes it.
    """
    payload = model.model_dump_json(ensure_ascii=True)
    if nul.is_in_json(payload):
        raise ValueError("a payload may not contain NUL")
    depth.check(payload)
    return payload

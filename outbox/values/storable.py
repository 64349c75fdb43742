"""Which text and JSON Postgres can store: its own refusal would come late, and quote the value."""

from outbox.values import depth, nul


def storable(text: str | None) -> str | None:
    """The text. Raises ValueError if Postgres would cut it off, or fail the commit for it."""
    if text is not None and b"\0" in text.encode():
        raise ValueError("subject and by may not contain NUL")
    return text


def storable_json(payload: str) -> str:
    """A payload as JSON. Raises ValueError if it holds NUL, or is nested too deeply."""
    if nul.is_in_json(payload):
        raise ValueError("a payload may not contain NUL")
    depth.check(payload)
    return payload

"""Messages to other services, as the relay sends them."""

from typing import Any, NamedTuple

import pika


class Outgoing(NamedTuple):
    """A message for an exchange; its properties are encoded, for the relay only passes them on."""

    id: str
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes

    @property
    def message_id(self) -> str:
        """The same each time it is published."""
        return self.id


def encode(**properties: Any) -> bytes:
    """AMQP's encoding of properties. Headers are texts, whole numbers and booleans."""
    given = pika.BasicProperties(**properties)  # type: ignore[no-untyped-call]
    return b"".join(given.encode())  # type: ignore[no-untyped-call]


def decode(properties: bytes) -> dict[str, Any]:
    """The properties that `encode` was given, by name."""
    found = pika.BasicProperties().decode(properties)  # type: ignore[no-untyped-call]
    return {name: value for name, value in vars(found).items() if value is not None}

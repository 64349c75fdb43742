"""Keeps one message's undecodable headers from closing the connection that delivered it.

pika decodes the headers of a delivery inside its I/O loop, and raises there for what it cannot
represent, such as a timestamp after the year 9999. RabbitMQ would redeliver the message over each
new connection, and nothing behind it would ever be read.
"""

import struct
from typing import Any

import structlog
from pika import data

log = structlog.get_logger(__name__)

_decode = data.decode_table


def tolerate() -> None:
    """Make pika keep tables that it cannot decode."""
    data.decode_table = _decode_or_keep


def _decode_or_keep(encoded: bytes, offset: int) -> tuple[dict[str | bytes, Any], int]:
    """The table as pika decodes it; if pika cannot, one value with its bytes in hexadecimal."""
    try:
        return _decode(encoded, offset)
    except Exception as error:  # noqa: BLE001 - whatever struct and datetime raise
        log.warning("undecodable headers", error_type=type(error).__qualname__)
        end = offset + 4 + int(struct.unpack_from(">I", encoded, offset)[0])
        return {"undecodable": encoded[offset + 4 : end].hex()}, end

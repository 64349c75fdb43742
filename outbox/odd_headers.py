"""Keeps one message's odd headers from ending the connection that it came over.

pika decodes the headers of a delivery inside its I/O loop, and raises there for what it cannot
represent, such as a timestamp after the year 9999. The message would come again with the next
connection, and again, and nothing behind it would ever be read.
"""

import struct
from typing import Any

import structlog
from pika import data

log = structlog.get_logger(__name__)

_decode = data.decode_table


def _decode_or_keep(encoded: bytes, offset: int) -> tuple[dict[str | bytes, Any], int]:
    """A table as pika decodes it; one that it cannot decode as a single value in hexadecimal."""
    try:
        return _decode(encoded, offset)
    except Exception as error:  # noqa: BLE001 - pika lets through whatever struct and datetime raise
        log.warning("undecodable headers", why=type(error).__name__)
        end = offset + 4 + int(struct.unpack_from(">I", encoded, offset)[0])
        return {"undecodable": encoded[offset + 4 : end].hex()}, end


def tolerate() -> None:
    """From now on pika keeps tables that it cannot decode."""
    data.decode_table = _decode_or_keep

"""Writes charges by COPY."""

from uuid import UUID

from psycopg import Connection
from sqlalchemy.orm import Session

from actors.importing.charges import Charge
from actors.importing.header import COLUMNS

COPY = f"COPY public.charges (import_id, line, {', '.join(COLUMNS)}) FROM STDIN"
PIECE = 64 * 1024
"""Bytes that go to Postgres at a time: the connection keeps a buffer for the largest."""
NULL = "\\N"


def encode(import_id: UUID, line: int, charge: Charge) -> bytes:
    """A line for COPY: so a chunk takes a tenth of the memory that its values would take.

    Of what COPY escapes, only the backslash can be in a charge: its texts have no control
    characters.
    """
    values = (NULL if each is None else str(each).replace("\\", "\\\\") for each in charge)
    return "\t".join([str(import_id), str(line), *values]).encode() + b"\n"


def copy(session: Session, lines: bytes | bytearray) -> None:
    """Add the charges, in the session's transaction."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, Connection):
        raise TypeError("COPY needs psycopg")
    with connection.cursor() as cursor, cursor.copy(COPY) as copying:
        for begin in range(0, len(lines), PIECE):
            copying.write(lines[begin : begin + PIECE])

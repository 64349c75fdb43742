"""Writes charges by COPY."""

from collections.abc import Iterable
from uuid import UUID

from psycopg import Connection
from sqlalchemy.orm import Session

from actors.importing.charges import Charge
from actors.importing.header import COLUMNS

COPY = f"COPY public.charges (import_id, line, {', '.join(COLUMNS)}) FROM STDIN"


def copy(session: Session, import_id: UUID, charges: Iterable[tuple[int, Charge]]) -> None:
    """Add the charges, each with its line, in the session's transaction."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, Connection):
        raise TypeError("COPY needs psycopg")
    with connection.cursor() as cursor, cursor.copy(COPY) as copying:
        for line, charge in charges:
            copying.write_row((import_id, line, *charge))

"""When a job was submitted: its id is a UUIDv7, which begins with that time in milliseconds."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

LATEST_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999: Python's dates know no later one."""


def time_of(id_: UUID) -> datetime:
    """When a UUIDv7 was made."""
    milliseconds = min(id_.int >> 80, LATEST_MILLISECONDS)
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def first_id(moment: datetime) -> UUID:
    """The least UUIDv7 of this moment."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)

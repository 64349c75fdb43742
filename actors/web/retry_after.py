"""Parses the header Retry-After."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 10**9
"""Larger numbers are capped: they are nonsense, and would not fit a timedelta."""


def retry_in(header: str | None, now: datetime) -> timedelta | None:
    """How long the server asks to wait: seconds or a date (RFC 9110); None if it does not say."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return timedelta(seconds=min(int(header[:20]), LONGEST_SECONDS))
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(moment.replace(tzinfo=moment.tzinfo or UTC) - now, timedelta())

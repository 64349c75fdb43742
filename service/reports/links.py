"""Links to a report's files that work without an API key, until they expire.

A link names the file and the time, and is signed with `Settings.links_secret`. Nothing is stored:
whoever knows the secret can make links, and a new secret ends all of them.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.reports.formats import FORMATS, Format

LONGEST_LIFETIME = timedelta(days=7)
PURPOSE = b"duly report download\0"
"""Signed with each link, so that no other signature with this secret is one of a link."""


class BadLink(Exception):
    """The link was not signed here."""


class LinkExpired(Exception):
    """The link was signed here, and its time is over."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link leads to, and until when."""

    report_id: UUID
    format: Format
    expires_at: datetime

    def token(self, secret: str) -> str:
        """The link as a part of a path, signed."""
        text = f"{self.report_id.hex}.{self.format}.{int(self.expires_at.timestamp())}"
        return f"{text}.{_signature(text, secret)}"


def read(token: str, secret: str | None, now: datetime) -> Link:
    """The link that the token is. Raises BadLink, without a secret always, and LinkExpired."""
    text, _, signature = token.rpartition(".")
    if secret is None or not hmac.compare_digest(
        signature.encode(), _signature(text, secret).encode()
    ):
        raise BadLink
    report_id, name, seconds = text.split(".")
    expires_at = datetime.fromtimestamp(int(seconds), UTC)
    found = [each for each in FORMATS if each == name]
    if expires_at <= now or not found:  # a format that there is no more
        raise LinkExpired
    return Link(UUID(report_id), found[0], expires_at)


def _signature(text: str, secret: str) -> str:
    digest = hmac.digest(secret.encode(), PURPOSE + text.encode(), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")

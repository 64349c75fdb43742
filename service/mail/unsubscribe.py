"""Links with which a receiver unsubscribes without a password, signed so that none can be made up.

A link names the mail, not the address: it says nothing to those who see it in a log.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

FORM = r"^[0-9a-f]{32}\.[A-Za-z0-9_-]{22}$"
BYTES = 16
"""128 bits of the signature: nobody guesses them."""


def token(email_id: UUID, secret: str) -> str:
    """What names the mail in its link."""
    return f"{email_id.hex}.{_signature(email_id, secret)}"


def email_id(given: str, secret: str) -> UUID | None:
    """The mail that the token names; None if we have not signed it."""
    named, _, signature = given.partition(".")
    found = UUID(hex=named)
    return found if hmac.compare_digest(signature, _signature(found, secret)) else None


def _signature(email_id: UUID, secret: str) -> str:
    digest = hmac.digest(secret.encode(), b"unsubscribe " + email_id.bytes, sha256)[:BYTES]
    return urlsafe_b64encode(digest).decode().rstrip("=")

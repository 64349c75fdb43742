"""Addresses of webhook endpoints as people see them."""

from urllib.parse import urlsplit

from outbox.redaction.fields import HIDDEN


def without_tokens(url: str) -> str:
    """The address without its path and query, where many senders put a token."""
    where = urlsplit(url)
    bare = f"{where.scheme}://{where.netloc}/"
    return url if url in (bare, bare[:-1]) else bare + HIDDEN

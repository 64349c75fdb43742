"""Checks the address of the payment provider when a process starts."""

from urllib.parse import urlsplit


def check(url: str) -> None:
    """Raise ValueError unless it is the address of an HTTP server, without a path."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("must be a URL such as https://api.stripe.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be a URL without user, password or query")

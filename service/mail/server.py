"""The mail server, parsed from its URL once, when the process starts."""

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

StartTls = Literal["require", "never", "offered"]
STARTTLS: dict[str, StartTls] = {"require": "require", "never": "never", "offered": "offered"}

FORM = (
    "must be a URL such as smtp://user:password@host:587?starttls=require, or smtps://…; "
    "percent-encode the password's special characters (@ is %40)"
)
PORTS = {"smtp": 25, "smtps": 465}
HOST = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server's address, and how the connection is secured."""

    host: str
    port: int
    is_tls: bool
    """Whether the connection is TLS from the first byte."""
    starttls: StartTls
    user: str | None = None
    password: str = field(default="", repr=False)


def read(url: str) -> MailServer:
    """Parse the URL. Raises ValueError, which does not quote it: it has a password."""
    try:
        return _read(urlsplit(url))
    except ValueError:
        raise ValueError(FORM) from None


def _read(url: SplitResult) -> MailServer:
    options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    # With a raw / or # in its password, the URL's host would be wrong.
    if url.path.strip("/") or url.fragment or options.keys() - {"starttls"}:
        raise ValueError
    if (
        url.scheme not in PORTS
        or url.hostname is None
        or not HOST.fullmatch(url.hostname)
        or url.port == 0
    ):
        raise ValueError
    is_tls = url.scheme == "smtps"
    return MailServer(
        host=url.hostname,
        port=url.port or PORTS[url.scheme],
        is_tls=is_tls,
        starttls="never" if is_tls else _starttls(options, needs_it=bool(url.password)),
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password or ""),
    )


def _starttls(options: dict[str, str], *, needs_it: bool) -> StartTls:
    asked = options.get("starttls", "require" if needs_it else "offered")
    if asked not in STARTTLS:
        raise ValueError
    return STARTTLS[asked]

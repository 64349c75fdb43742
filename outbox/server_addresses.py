"""Checks the addresses of servers when a process starts, so that none is found wrong by a job.

Each check raises ValueError, which never quotes the address: most hold a password. A password that
is not percent-encoded can end up as part of a host or a port, which errors of a connection quote.
So these are looked at closely.
"""

import re
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from outbox.amqp.connection import parameters

HOST = re.compile(r"[A-Za-z0-9._:%-]+")
SOCKET = re.compile(r"[/@][^@,]*")
PORT = re.compile(r"[0-9]{1,5}")
RAW_SLASH = re.compile(r"postgres(ql)?://[^/@]*/[^?]*@")
"""A URL whose password has a / in it: libpq takes what is before it for host and port."""

POSTGRES_FORM = (
    "must be what libpq reads, like postgresql://user@host/database or service=name; special "
    "characters of a URL's password are written as %40 and the like"
)
AMQP_FORM = (
    "must be a URL like amqp://user:password@host/vhost; special characters are written as %40 "
    "and the like"
)


def postgres(address: str) -> None:
    """What libpq reads: a URL, `key=value` pairs, or a service."""
    try:
        given = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise ValueError(POSTGRES_FORM) from None
    hosts = [host for host in str(given.get("host", "")).split(",") if host]
    ports = [port for port in str(given.get("port", "")).split(",") if port]
    is_whole = not RAW_SLASH.match(address)
    if not (given and is_whole and all(map(_is_host, hosts)) and all(map(_is_port, ports))):
        raise ValueError(POSTGRES_FORM)


def amqp(urls: str) -> None:
    """One URL, or those of a cluster's nodes with `;` in between."""
    try:
        parameters(urls)
        is_well = all(map(_is_amqp, urls.split(";")))
    except Exception:  # noqa: BLE001 - pika lets through whatever its readers of options raise
        is_well = False
    if not is_well:
        raise ValueError(AMQP_FORM)


def _is_host(host: str) -> bool:
    return bool(HOST.fullmatch(host) or SOCKET.fullmatch(host))


def _is_port(port: str) -> bool:
    return bool(PORT.fullmatch(port)) and 0 < int(port) < 2**16


def _is_amqp(url: str) -> bool:
    where = urlsplit(url)
    is_whole = where.path.count("/") <= 1 and "@" not in where.path + where.query
    return (
        where.scheme in ("amqp", "amqps")
        and bool(where.hostname and HOST.fullmatch(where.hostname))
        and where.port != 0
        and is_whole
        and not where.fragment
    )

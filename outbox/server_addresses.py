"""Checks the addresses of servers when a process starts, before a job fails over one.

Each check raises ValueError, and never quotes the address: most contain a password. A password that
is not percent-encoded may be read as part of the host or port, which connection errors quote. So
hosts and ports are checked strictly.
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
"""A URL with a raw `/` in its password: libpq reads what is before it as host and port."""

POSTGRES_FORM = (
    "must be a libpq address such as postgresql://user@host/database or service=name; in a URL, "
    "percent-encode the password's special characters (@ is %40)"
)
AMQP_FORM = (
    "must be a URL such as amqp://user:password@host/vhost; percent-encode special characters "
    "(@ is %40)"
)
MANAGEMENT_FORM = (
    "must be a URL such as http://user:password@host:15672; percent-encode special characters "
    "(@ is %40)"
)


def postgres(address: str) -> None:
    """Check an address as libpq reads it: a URL, `key=value` pairs, or a service."""
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
    """Check one URL, or the URLs of a cluster's nodes, separated by `;`."""
    try:
        parameters(urls)
        is_valid = all(map(_is_amqp, urls.split(";")))
    except Exception:  # noqa: BLE001 - pika's option parsers raise anything
        is_valid = False
    if not is_valid:
        raise ValueError(AMQP_FORM)


def management(url: str) -> None:
    """Check the URL of RabbitMQ's management API, with its login."""
    try:
        where = urlsplit(url)
        has_login = bool(where.username and where.password and "@" not in where.path + where.query)
        is_valid = (
            where.scheme in ("http", "https")
            and bool(where.hostname and HOST.fullmatch(where.hostname))
            and where.port != 0
            and has_login
        )
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(MANAGEMENT_FORM)


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

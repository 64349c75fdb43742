"""The address of Postgres, as libpq reads it."""

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.engine import URL

NOTICE_SILENCE = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""libpq settings that give up on a server within some 20 seconds if it vanished silently.

Without them a half-open connection blocks its process for up to two hours, Linux's default.
"""

ENCODING = {"client_encoding": "utf8"}


def conninfo(database_url: str) -> str:
    """The address for psycopg: what libpq reads, be it a URL, `key=value` pairs or a service.

    Its own settings override ours, except that texts are UTF-8, as payloads need. Raises
    psycopg.ProgrammingError, whose text quotes the address, including the password.
    """
    return make_conninfo("", **(NOTICE_SILENCE | conninfo_to_dict(database_url) | ENCODING))


def sqlalchemy_url(database_url: str) -> URL:
    """The same address for SQLAlchemy with psycopg, for sync and async engines alike."""
    given = {name: str(value) for name, value in conninfo_to_dict(conninfo(database_url)).items()}
    url = URL.create(
        "postgresql+psycopg",
        username=given.pop("user", None),
        password=given.pop("password", None),
        database=given.pop("dbname", None),
    )
    host, port = given.get("host", ""), given.get("port", "5432")
    if host and not {*host} & {",", "/", "@"} and port.isdigit():
        url = url.set(host=host, port=int(port))
        given = {name: value for name, value in given.items() if name not in ("host", "port")}
    return url.set(query=given)  # may include several hosts, or a socket's folder

"""How connections to Postgres are asked for."""

from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine

from outbox.postgres.address import conninfo, sqlalchemy_url

URL = "postgresql://me@there:1/mine?keepalives_idle=60"
FORMS = {
    "postgresql://me:p%40ss%20w@there:1/mine": {"user": "me", "password": "p@ss w", "port": "1"},
    "postgresql://[::1]:1/mine": {"host": "::1"},
    "postgresql://one:1,two:2/mine?target_session_attrs=read-write": {
        "host": "one,two",
        "port": "1,2",
        "target_session_attrs": "read-write",
    },
    "postgresql://one,two/mine": {"host": "one,two"},
    "host=there port=1 dbname=mine options='-c role=clerk'": {"options": "-c role=clerk"},
    "service=duly": {"service": "duly"},
    "postgresql://%2Fvar%2Frun%2Fpostgresql/mine": {"host": "/var/run/postgresql"},
    "postgresql:///mine?host=/var/run/postgresql&port=5433": {"port": "5433"},
    "postgresql:///mine?options=-c%20search_path%3Dbilling": {"options": "-c search_path=billing"},
    "postgres://there/mine": {"dbname": "mine"},
}


def by_sqlalchemy(url: str) -> dict[str, Any]:
    """What SQLAlchemy would hand to psycopg, in libpq's names."""
    engine = create_engine(sqlalchemy_url(url))
    _, given = engine.dialect.create_connect_args(engine.url)
    return {name: str(value) for name, value in given.items() if name != "context"}


@pytest.mark.parametrize(("url", "said"), FORMS.items())
def test_every_form_that_libpq_reads_means_the_same_to_all_processes(
    url: str, said: dict[str, str]
) -> None:
    plain = conninfo_to_dict(conninfo(url))
    assert plain.items() >= said.items()
    assert plain | {"port": plain.get("port", "5432")} == {"port": "5432"} | by_sqlalchemy(url)


def test_a_silent_server_is_noticed_by_tcp_unless_the_address_says_otherwise() -> None:
    for settings in (conninfo_to_dict(conninfo(URL)), by_sqlalchemy(URL)):
        assert settings["tcp_user_timeout"] == "20000"
        assert settings["keepalives_idle"] == "60"


def test_texts_are_utf8_whatever_the_address_says() -> None:
    assert conninfo_to_dict(conninfo("client_encoding=latin1"))["client_encoding"] == "utf8"

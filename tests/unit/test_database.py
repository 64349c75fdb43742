"""How connections to Postgres are asked for."""

from psycopg.conninfo import conninfo_to_dict

from outbox.database import conninfo, sqlalchemy_url

URL = "postgresql://me@there:1/mine?keepalives_idle=60"


def test_a_silent_server_is_noticed_by_tcp_unless_the_address_says_otherwise() -> None:
    plain = conninfo_to_dict(conninfo(URL))
    through_sqlalchemy = sqlalchemy_url(URL).query
    for settings in (plain, through_sqlalchemy):
        assert settings["tcp_user_timeout"] == "20000"
        assert settings["keepalives_idle"] == "60"

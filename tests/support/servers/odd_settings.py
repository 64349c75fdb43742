"""Settings that an operator may have given a database, and that change what sessions say and do."""

import psycopg
from psycopg import sql

ODD = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
    "search_path": "",
    "array_nulls": "off",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-15",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "row_security": "off",
    "client_min_messages": "error",
}


def make_odd(database_url: str) -> None:
    """Have all sessions of the database begin with odd settings, from now on."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting, value in ODD.items():
            alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(alter.format(name, sql.Identifier(setting), sql.Literal(value)))

"""Settings that sessions of the role begin with, and the statement that changes one."""

from typing import Any

from sqlalchemy import Row

from outbox.doctor.servers.postgres import Postgres

# `reset_val` is what a session begins with; this one has settings of its own.
_SETTINGS = """
SELECT name, reset_val AS value, quote_ident(current_user) AS role,
       strpos(%(options)s, name) > 0 AS is_of_client,
       (SELECT 'ALTER ' || CASE WHEN setrole = 0 THEN format('DATABASE %%I', current_database())
                                WHEN setdatabase = 0 THEN format('ROLE %%I', current_user)
                                ELSE format('ROLE %%I IN DATABASE %%I', current_user,
                                            current_database()) END
        FROM pg_db_role_setting
        LEFT JOIN pg_roles ON pg_roles.oid = setrole
        LEFT JOIN pg_database ON pg_database.oid = setdatabase
        WHERE (setrole = 0 OR rolname = current_user)
          AND (setdatabase = 0 OR datname = current_database())
          AND EXISTS (SELECT FROM unnest(setconfig) AS line WHERE line LIKE name || '=%%')
        ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1) AS altered
FROM pg_settings WHERE name = ANY (%(names)s) ORDER BY name
"""


def of_role(postgres: Postgres, *names: str) -> list[Row[Any]]:
    """Those of these settings that this Postgres has, each with its name and value.

    Timeouts are in milliseconds.
    """
    with postgres.connection() as connection:
        driver: Any = connection.connection.driver_connection
        wanted = {"names": [*names], "options": driver.info.options or ""}
        return [*connection.exec_driver_sql(_SETTINGS, wanted)]


def statement(row: Row[Any], value: str) -> str:
    """The statement that gives a setting another value, where it has got the present one."""
    if row.is_of_client:
        return f"remove {row.name} from the options of DATABASE_URL, or from PGOPTIONS"
    where = row.altered or f"ALTER ROLE {row.role}"
    return f"{where} SET {row.name} = {value}"

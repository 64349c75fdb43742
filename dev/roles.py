"""The role that the demo's processes run as, beside the one that owns the tables."""

from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dev.owner import password_in
from dev.say import say


def role_of_processes(database_url: str, folder: Path) -> tuple[str, str] | None:
    """The role's name, and the address for it; its password is kept in the folder.

    None, with a word to the person, where the server does not let us make such a role.
    """
    password = password_in(folder)
    try:
        with psycopg.connect(database_url, autocommit=True) as owner:
            role = f"{owner.info.dbname}_app"
            _make(owner, role, password)
        address = make_conninfo(database_url, user=role, password=password)
        psycopg.connect(address).close()
    except psycopg.Error as error:
        why = str(error).strip().partition("\n")[0]
        say(f"postgres: no role of their own for the processes: {why}")
        return None
    return role, address


def _make(owner: psycopg.Connection, role: str, password: str) -> None:
    there = owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("CREATE" if there is None else "ALTER")
    named = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    owner.execute(named.format(verb, sql.Identifier(role), sql.Literal(password)))

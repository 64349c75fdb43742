"""The role that the demo's processes run as, beside the one that owns the tables."""

from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from dev.owner import password_in
from dev.say import say


def role_of_processes(database_url: str, folder: Path) -> tuple[str, str] | None:
    """The role's name, and the URL with which it connects; its password is kept in the folder.

    None, with a word to the person, where the server does not let us make such a role.
    """
    role = f"{conninfo_to_dict(database_url)['dbname']}_app"
    password = password_in(folder)
    url = make_url(database_url).set(username=role, password=password)
    try:
        with psycopg.connect(database_url, autocommit=True) as owner:
            _make(owner, role, password)
        psycopg.connect(url.render_as_string(hide_password=False)).close()
    except psycopg.Error as error:
        why = str(error).strip().partition("\n")[0]
        say(f"postgres: no role of their own for the processes: {why}")
        return None
    return role, url.render_as_string(hide_password=False)


def _make(owner: psycopg.Connection, role: str, password: str) -> None:
    there = owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("CREATE" if there is None else "ALTER")
    named = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    owner.execute(named.format(verb, sql.Identifier(role), sql.Literal(password)))

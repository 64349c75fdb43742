"""`duly migrate --grant-to`: the processes' role can work, and cannot change the record of acts."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev import binaries
from dev.roles import role_of_processes
from dev.say import CHECKOUT
from outbox.cli.errors import Code
from tests.integration.cli.conftest import Duly

OTHERWISE = "CREATE OR REPLACE FUNCTION duly.refuse_to_change() RETURNS trigger LANGUAGE plpgsql"
THEFTS = [
    "UPDATE duly.acts SET who = 'somebody else'",
    "DELETE FROM duly.acts",
    "TRUNCATE duly.acts",
    "DROP TABLE duly.acts",
    "ALTER TABLE duly.acts DISABLE TRIGGER ALL",
    "DROP TRIGGER acts_stay ON duly.acts",
    f"{OTHERWISE} AS 'BEGIN RETURN NULL; END'",
    "INSERT INTO duly.acts (at, who, act, about) VALUES ('2020-01-01', 'b', 'look', '{}')",
    "INSERT INTO duly.acts (id, who, act, about) OVERRIDING SYSTEM VALUE VALUES (1, 'b', '', '{}')",
    "SET session_replication_role = replica",
]
RECORD = "INSERT INTO duly.acts (who, act, about) VALUES ('anna', 'look', '{}')"


@pytest.fixture
def processes(app_database_url: str, amqp_url: str) -> Duly:
    """The command, as the role of the processes."""
    return Duly(app_database_url, amqp_url)


@pytest.fixture
def thief(app_database_url: str) -> Iterator[psycopg.Connection]:
    """Somebody who has the password of the processes."""
    with psycopg.connect(app_database_url, autocommit=True) as connection:
        yield connection


def test_the_role_of_the_processes_adds_to_the_record_and_cannot_change_it(
    thief: psycopg.Connection,
) -> None:
    thief.execute(RECORD)
    before = thief.execute("SELECT * FROM duly.acts").fetchall()
    for theft in THEFTS:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            thief.execute(theft)
    assert thief.execute("SELECT * FROM duly.acts").fetchall() == before


def test_granting_takes_back_what_was_granted_too_much(
    duly: Duly, thief: psycopg.Connection, sql_now: psycopg.Connection
) -> None:
    role = thief.info.user
    sql_now.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA duly TO {role}")
    four = [duly.start("migrate", "--grant-to", role) for _ in range(4)]
    for each in four:
        _, talk = each.communicate(timeout=60)
        assert talk.splitlines()[-1] == f"duly: the role {role} has its rights"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        thief.execute("DELETE FROM duly.acts")


def test_a_role_that_could_change_the_record_all_the_same_is_refused(
    duly: Duly, app_database_url: str, database_url: str, sql_now: psycopg.Connection
) -> None:
    role = conninfo_to_dict(app_database_url)["user"]
    owner = conninfo_to_dict(database_url)["user"]
    for unfit in (owner, f"no_{role}", ""):
        done = duly("migrate", "--grant-to", unfit)
        assert done.returncode == Code.USAGE
        assert done.stderr.splitlines()[-1].startswith("duly: --grant-to: ")
    sql_now.execute(f"GRANT {owner} TO {role}")
    assert duly("migrate", "--grant-to", role).returncode == Code.USAGE


def test_who_does_not_own_the_tables_can_grant_nothing(
    processes: Duly, thief: psycopg.Connection
) -> None:
    role = thief.info.user
    done = processes("migrate", "--grant-to", role)
    assert done.returncode == Code.FAILED
    assert "permission denied" in done.stderr


@pytest.fixture
def new_roles(sql_now: psycopg.Connection) -> Iterator[None]:
    """What a test adds to the server's roles is dropped."""
    roles = "SELECT rolname FROM pg_roles WHERE rolname = 'duly_app' OR rolname LIKE 'test%app'"
    before = sql_now.execute(roles).fetchall()
    yield
    for (role,) in sql_now.execute(roles).fetchall():
        if (role,) not in before:
            sql_now.execute(f'DROP ROLE "{role}"')


@pytest.mark.usefixtures("new_roles")
def test_the_demo_makes_the_role_once_and_remembers_its_password(
    database_url: str, tmp_path: Path
) -> None:
    first, second = (role_of_processes(database_url, tmp_path) for _ in range(2))
    assert first == second
    assert first
    with psycopg.connect(first[1]) as connection:
        assert connection.info.user == first[0]


def test_the_demo_goes_on_without_where_it_may_make_no_role(
    app_database_url: str, tmp_path: Path
) -> None:
    assert role_of_processes(app_database_url, tmp_path) is None


@pytest.mark.usefixtures("new_roles")
@pytest.mark.skipif(not binaries.postgres(), reason="needs psql")
def test_compose_makes_the_role_when_postgres_creates_its_data(
    database_url: str, tmp_path: Path
) -> None:
    owner = conninfo_to_dict(database_url)
    (tmp_path / "init.sh").write_text(
        # Not the name that a server of somebody else may have, too.
        (CHECKOUT / "dev" / "postgres-init.sh").read_text().replace("duly_app", "test_app")
    )
    environment = {
        "PATH": f"{binaries.postgres()}:{os.environ['PATH']}",
        "PGHOST": str(owner["host"]),
        "PGPORT": str(owner["port"]),
        "PGPASSWORD": str(owner["password"]),
        "POSTGRES_USER": str(owner["user"]),
        "POSTGRES_DB": str(owner["dbname"]),
        "DULY_APP_PASSWORD": (password := uuid.uuid4().hex),
    }
    subprocess.run(["sh", tmp_path / "init.sh"], env=environment, check=True)
    psycopg.connect(database_url, user="test_app", password=password).close()

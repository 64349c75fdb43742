"""What the doctor says of a Postgres, and of sessions and tables, that are really wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from dev.ports import free_port
from dev.servers import Servers
from outbox import Job, Kind
from outbox.actors import Actor, Actors
from outbox.doctor import Finding, Level, Setup
from outbox.doctor.checks import postgres
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.address import sqlalchemy_url
from outbox.release import release
from outbox.store import transitions
from tests.integration.doctor.conftest import Nothing, find, setup_for
from tests.support.cli_line import commands_of


def test_all_is_well_with_postgres_for_the_role_of_the_processes(setup: Setup) -> None:
    names = (
        *("postgres", "postgres-version", "encoding", "collation", "read-only", "pooler"),
        *("isolation", "timeouts", "migrations", "rights", "record-of-acts", "sequences"),
    )
    found = {name: find(name, setup) for name in names}
    assert {name for name, each in found.items() if each.level is not Level.OK} == set()
    assert {each.change for each in found.values()} == {None}


def test_a_postgres_that_is_away(amqp_url: str, queue: str) -> None:
    url = f"postgresql://someone:hunter2@127.0.0.1:{free_port()}/duly"
    found = find("postgres", setup_for(url, amqp_url, queue))
    assert found.level is Level.ERROR
    assert found.found.startswith("Postgres cannot be reached: ")
    assert "hunter2" not in str(found)


def test_a_wrong_password(app_database_url: str, amqp_url: str, queue: str) -> None:
    url = sqlalchemy_url(app_database_url).set(drivername="postgresql", password="hunter2")
    found = find("postgres", setup_for(url.render_as_string(hide_password=False), amqp_url, queue))
    assert "password authentication failed" in found.found
    assert "hunter2" not in str(found)


def test_a_postgres_that_is_too_old(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "OLDEST", 99)
    found = find("postgres-version", setup)
    assert (found.level, found.change) == (Level.ERROR, "upgrade Postgres to 99 or newer")


def test_an_encoding_other_than_utf8(servers: Servers, amqp_url: str, queue: str) -> None:
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {queue} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        try:
            url = sqlalchemy_url(servers.database_url).set(drivername="postgresql", database=queue)
            address = url.render_as_string(hide_password=False)
            found = find("encoding", setup_for(address, amqp_url, queue))
        finally:
            admin.execute(f"DROP DATABASE {queue}")
    assert (found.level, found.found) == (Level.ERROR, f"the encoding of {queue} is LATIN1")
    create, _ = (found.change or "").split("; ")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(create)
        admin.execute(f"DROP DATABASE {queue}_utf8")


def test_a_collation_of_an_earlier_c_library(servers: Servers, amqp_url: str, queue: str) -> None:
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        icu = "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C' ENCODING 'UTF8'"
        admin.execute(f"CREATE DATABASE {queue} {icu} TEMPLATE template0")
    try:
        url = make_url(servers.database_url).set(database=queue)
        address = url.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as owner:
            owner.execute(
                "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = %s", [queue]
            )
            found = find("collation", setup_for(address, amqp_url, queue))
            assert found.level is Level.WARNING
            for step in (found.change or "").split("; "):
                owner.execute(step)
        assert find("collation", setup_for(address, amqp_url, queue)).level is Level.OK
    finally:
        with psycopg.connect(servers.database_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {queue}")


def test_a_role_whose_transactions_are_read_only(
    setup: Setup, role: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    found = find("read-only", setup)
    assert found.level is Level.ERROR
    assert found.change == f"ALTER ROLE {role} SET default_transaction_read_only = off"
    sql_now.execute(found.change)
    assert find("read-only", setup).level is Level.OK


def test_a_pooler_without_a_way_past_it(
    setup: Setup,
    pooler: Callable[[str], str],
    app_database_url: str,
    amqp_url: str,
    queue: str,
) -> None:
    pooled = pooler(app_database_url)
    found = find("pooler", setup_for(pooled, amqp_url, queue))
    assert found.level is Level.WARNING
    assert found.change == "set DULY_LISTEN_URL of the relays to Postgres itself"
    past = setup_for(pooled, amqp_url, queue, listen_url=app_database_url)
    assert find("pooler", past).level is Level.OK
    round_about = setup_for(app_database_url, amqp_url, queue, listen_url=pooled)
    assert find("pooler", round_about).level is Level.WARNING


@pytest.mark.parametrize("whose", ["role", "database", "role in database"])
def test_a_level_of_isolation_other_than_read_committed(
    setup: Setup, role: str, sql_now: psycopg.Connection, whose: str
) -> None:
    name = sql_now.info.dbname
    made = {
        "role": f"ALTER ROLE {role}",
        "database": f"ALTER DATABASE {name}",
        "role in database": f"ALTER ROLE {role} IN DATABASE {name}",
    }[whose]
    sql_now.execute(f"{made} SET default_transaction_isolation = 'serializable'")
    found = find("isolation", setup)
    assert found.level is Level.WARNING
    assert found.change == f"{made} SET default_transaction_isolation = 'read committed'"
    sql_now.execute(found.change)
    assert find("isolation", setup).level is Level.OK
    sql_now.execute(f"{made} RESET ALL")


@pytest.mark.parametrize(
    ("value", "level"), [("1s", Level.ERROR), ("10s", Level.WARNING), ("5min", Level.OK)]
)
@pytest.mark.parametrize("name", ["statement_timeout", "idle_in_transaction_session_timeout"])
def test_a_timeout_that_ends_what_duly_does(
    setup: Setup,
    role: str,
    sql_now: psycopg.Connection,
    name: str,
    value: str,
    level: Level,
) -> None:
    sql_now.execute(f"ALTER ROLE {role} SET {name} = '{value}'")
    found = find("timeouts", setup)
    assert found.level is level
    if found.change:
        sql_now.execute(found.change)
        assert find("timeouts", setup).level is Level.OK


@pytest.mark.usefixtures("own_database")
def test_tables_of_an_earlier_release(setup: Setup, sql_now: psycopg.Connection) -> None:
    sql_now.execute("DELETE FROM duly.migrations WHERE version > 3")
    found = find("migrations", setup)
    assert (found.level, found.change) == (Level.ERROR, "duly migrate")


@pytest.mark.usefixtures("own_database")
def test_tables_of_a_later_release(setup: Setup, sql_now: psycopg.Connection) -> None:
    sql_now.execute("INSERT INTO duly.migrations (version) VALUES (9999)")
    assert find("migrations", setup).level is Level.WARNING


def test_no_tables_at_all(empty_database_url: str, amqp_url: str, queue: str) -> None:
    setup = setup_for(empty_database_url, amqp_url, queue)
    found = find("migrations", setup)
    assert (found.level, found.change) == (Level.ERROR, "duly migrate")
    later = find("sequences", setup)
    assert later.level is Level.SKIPPED
    assert later.found.startswith("tables are missing, see migrations: ")
    for name in ("rights", "record-of-acts"):
        found = find(name, setup)
        assert found.level is Level.SKIPPED
        assert found.found.startswith("tables are missing, see migrations")


@pytest.mark.parametrize(
    ("revoked", "missing"),
    [
        ("UPDATE ON duly.jobs", "UPDATE on duly.jobs"),
        ("USAGE ON SCHEMA duly", "USAGE on schema duly"),
        ("INSERT (why) ON duly.acts", "INSERT (why) on duly.acts"),
        ("SELECT ON duly.acts", "SELECT on duly.acts"),
        ("USAGE ON SEQUENCE duly.acts_id_seq", "USAGE on duly.acts_id_seq"),
        ("INSERT ON public.invoices", "INSERT on public.invoices"),
    ],
)
def test_a_role_that_lacks_a_right(
    setup: Setup, role: str, sql_now: psycopg.Connection, revoked: str, missing: str
) -> None:
    sql_now.execute(f"REVOKE {revoked} FROM {role}")
    found = find("rights", setup)
    assert found.level is Level.ERROR
    assert found.found == f"the role {role} lacks {missing}"
    assert found.change == f"as the owner of the tables: duly migrate --grant-to {role}"


def test_a_role_that_could_change_the_record_of_acts(
    database_url: str, amqp_url: str, queue: str
) -> None:
    found = find("record-of-acts", setup_for(database_url, amqp_url, queue))
    assert found.level is Level.WARNING
    assert "--grant-to duly_app" in (found.change or "")


@pytest.mark.usefixtures("own_database")
def test_a_sequence_behind_its_rows(setup: Setup, sql_now: psycopg.Connection) -> None:
    sql_now.execute(
        "INSERT INTO duly.acts (id, who, act, about) OVERRIDING SYSTEM VALUE"
        " VALUES (7, 'anna', 'look', '{}')"
    )
    found = find("sequences", setup)
    assert (found.level, found.change) == (Level.ERROR, "duly migrate")
    assert found.found == "numbers are behind their rows: duly.acts (at 7)"


@pytest.fixture
def beat(queue: str, sql_now: psycopg.Connection) -> str:
    """The name of a worker of the queue, of which one heartbeat was heard."""
    row = {"name": queue, "queues": f'["{queue}"]', "threads": 8, "tasks": 50, "code": None}
    sql_now.execute(transitions.RECORD_HEARTBEAT, row)
    return queue


def test_a_queue_that_no_worker_serves(setup: Setup, queue: str) -> None:
    found = find("workers", setup)
    assert (found.level, found.change) == (Level.ERROR, f"duly worker --queues {queue}")


def test_a_worker_that_is_silent_counts_as_none(
    setup: Setup, beat: str, sql_now: psycopg.Connection
) -> None:
    assert find("workers", setup).level is Level.OK
    sql_now.execute(
        "UPDATE duly.workers SET heartbeat_at = now() - interval '1 h' WHERE name = %s", [beat]
    )
    assert find("workers", setup).level is Level.ERROR


def _on_a_thread(_: Nothing, job: Job) -> None:
    """An actor that blocks."""


async def _as_a_task(_: Nothing, job: Job) -> None:
    """An actor that does not."""


def _windowed(setup: Setup, window: int, *functions: Callable[[Nothing, Job], object]) -> Finding:
    """What is found with actors that are these functions, all for the same queue."""
    (kind,) = setup.kinds.values()
    actors = Actors(
        Actor(Kind(f"{kind.queue}.{each.__name__}", Nothing, queue=kind.queue), each)
        for each in functions
    )
    settings = setup.settings.model_copy(update={"window": window})
    return find("window", replace(setup, settings=settings, actors=lambda: actors))


@pytest.mark.usefixtures("beat")
def test_a_window_smaller_than_what_workers_run_at_once(setup: Setup) -> None:
    assert _windowed(setup, 58, _on_a_thread, _as_a_task).level is Level.OK
    found = _windowed(setup, 57, _on_a_thread, _as_a_task)
    assert found.level is Level.WARNING
    assert (found.change or "").startswith("DULY_WINDOW=116 ")


@pytest.mark.usefixtures("beat")
def test_a_window_need_not_hold_tasks_where_no_actor_is_async(setup: Setup) -> None:
    assert _windowed(setup, 8, _on_a_thread).level is Level.OK
    assert _windowed(setup, 7, _on_a_thread).level is Level.WARNING
    assert _windowed(setup, 50, _as_a_task).level is Level.OK


def test_the_window_is_not_judged_without_the_actors(setup: Setup) -> None:
    assert find("window", replace(setup, actors=None)).level is Level.SKIPPED


@pytest.mark.usefixtures("own_database")
def test_code_and_window_of_no_worker_are_not_taken_for_well(setup: Setup) -> None:
    for name in ("window", "worker-code"):
        found = find(name, setup)
        assert (found.level, found.found) == (Level.SKIPPED, "no worker is alive, see workers")


def test_a_setting_in_the_address_is_not_to_be_changed_in_postgres(
    setup: Setup, app_database_url: str, amqp_url: str, queue: str
) -> None:
    url = make_url(app_database_url).update_query_dict({"options": "-cstatement_timeout=1s"})
    address = url.render_as_string(hide_password=False)
    found = find("timeouts", setup_for(address, amqp_url, queue))
    assert found.level is Level.ERROR
    assert (found.change or "").startswith("remove statement_timeout from the options of DATABASE_")


@pytest.mark.usefixtures("own_database")
def test_no_api_key_and_one_that_expires_soon(setup: Setup, session: Session) -> None:
    found = find("api-keys", setup)
    assert (found.level, found.found[:26]) == (Level.WARNING, "there is no valid API key,")
    assert found.change == "duly keys create --name ops --scopes read,operate"
    key = api_keys.create(session, "shop", [Scope.READ], timedelta(days=3), by="ops")
    session.commit()
    found = find("api-keys", setup)
    assert found.level is Level.WARNING
    prefix = key.split("_")[1]
    assert found.found.startswith(f"these expire soon: shop ({prefix}, ")
    assert commands_of(found.change) == [
        "duly keys create --name shop --scopes read",
        f"duly keys revoke {prefix}",
    ]
    api_keys.create(session, "lasting", [Scope.READ], by="ops")
    api_keys.revoke(session, prefix, by="ops")
    session.commit()
    assert find("api-keys", setup).level is Level.OK


@pytest.mark.parametrize(
    ("code", "level", "text"),
    [
        ('{"release": "%(release)s", "kinds": ["%(kind)s"]}', Level.OK, ""),
        (None, Level.WARNING, "runs an earlier release"),
        ('{"release": "0.0.1", "kinds": []}', Level.WARNING, "runs release 0.0.1, and this is "),
        ('{"release": "%(release)s", "kinds": []}', Level.WARNING, "does not know %(kind)s"),
        (
            '{"release": "%(release)s", "kinds": ["%(kind)s", "gone"]}',
            Level.WARNING,
            "knows gone, which this process does not",
        ),
    ],
)
@pytest.mark.usefixtures("own_database")
def test_a_worker_of_other_code(
    setup: Setup,
    queue: str,
    sql_now: psycopg.Connection,
    code: str | None,
    level: Level,
    text: str,
) -> None:
    names = {"release": release(), "kind": f"{queue}.do"}
    row = {"name": "w1", "queues": f'["{queue}"]', "threads": 8, "tasks": 50}
    sql_now.execute(transitions.RECORD_HEARTBEAT, row | {"code": code and code % names})
    found = find("worker-code", setup)
    assert found.level is level
    assert text % names in found.found

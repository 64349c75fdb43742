"""What the doctor says of servers that are wrong as a whole; these are its own."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from secrets import token_hex
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from dev.ports import free_port
from migrations.run import upgrade
from outbox.doctor import Finding, Level, Setup
from outbox.migrations.grants import grant
from service.subjects import TABLES
from tests.integration.doctor.conftest import find, setup_for
from tests.support.cli_line import commands_of
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.databases import new_database
from tests.support.servers.managed import ManagedRabbitmq
from tests.support.servers.nodes import Nodes, running_nodes
from tests.support.servers.stepped_clock import SteppedPostgres
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

PASSWORD = token_hex(8)


@pytest.fixture(scope="module")
def own() -> Iterator[Nodes]:
    """A Postgres whose clock can be stepped, and a RabbitMQ with its management API."""
    with running_nodes(postgres=SteppedPostgres, rabbitmq=ManagedRabbitmq) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def owner(own: Nodes) -> Iterator[str]:
    """A migrated database, for its owner; another role, duly_app, has the rights of processes."""
    with new_database(own.postgres.url("postgres"), "template0") as url:
        upgrade(url)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE duly_app LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("GRANT SELECT ON public.alembic_version TO duly_app")
        grant(url, "duly_app", TABLES.tables.keys())
        yield url


@pytest.fixture
def admin(owner: str) -> Iterator[psycopg.Connection]:
    """The owner, who is a superuser."""
    with psycopg.connect(owner, autocommit=True) as connection:
        yield connection


@pytest.fixture
def queue(own: Nodes) -> Iterator[str]:
    """The name of the app's queue, which exists."""
    name = f"t{uuid4().hex[:12]}"
    with closing(Rabbit(own.amqp_url)) as rabbit:
        rabbit.declare(name)
        yield name
        rabbit.delete(name)


@pytest.fixture
def setup(own: Nodes, owner: str, queue: str) -> Setup:
    """An app of one kind on these servers."""
    return _setup(own, owner, queue, own.amqp_url)


def _setup(own: Nodes, owner: str, queue: str, amqp_url: str, **more: object) -> Setup:
    url = make_url(owner).set(username="duly_app", password=PASSWORD)
    assert isinstance(own.rabbitmq, ManagedRabbitmq)
    settings = {"management_url": own.rabbitmq.management_url} | more
    return setup_for(url.render_as_string(hide_password=False), amqp_url, queue, **settings)


WELL = (
    *("postgres", "clock", "app-migrations", "durability", "replication", "connections"),
    *("autovacuum", "open-transactions", "prepared-transactions", "replication-slots"),
    *("rabbitmq", "rabbitmq-alarm", "rabbitmq-rights", "management", "alarms", "queue-types"),
    *("policies", "rabbitmq-clock"),
)


def test_all_is_well_with_both(setup: Setup) -> None:
    found = {name: find(name, setup) for name in WELL}
    assert {name: each for name, each in found.items() if each.level is not Level.OK} == {}


@contextmanager
def _system(admin: psycopg.Connection, name: str, value: str) -> Iterator[None]:
    """All of Postgres has the setting meanwhile."""
    admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    admin.execute("SELECT pg_reload_conf()")
    wait_for("the setting", lambda: _shown(admin, name) == value)
    try:
        yield
    finally:
        admin.execute(f"ALTER SYSTEM RESET {name}")
        admin.execute("SELECT pg_reload_conf()")
        wait_for("the old setting", lambda: _shown(admin, name) != value)


def _shown(admin: psycopg.Connection, name: str) -> str:
    (value,) = admin.execute(f"SHOW {name}").fetchone() or ("",)
    return str(value)


@pytest.mark.parametrize(
    ("check", "name", "level"),
    [
        ("durability", "fsync", Level.ERROR),
        ("durability", "full_page_writes", Level.WARNING),
        ("durability", "synchronous_commit", Level.ERROR),
        ("autovacuum", "autovacuum", Level.WARNING),
        ("autovacuum", "track_counts", Level.WARNING),
    ],
)
def test_a_setting_that_is_off(
    setup: Setup, admin: psycopg.Connection, check: str, name: str, level: Level
) -> None:
    with _system(admin, name, "off"):
        found = find(check, setup)
    assert found.level is level
    assert f"{name} = " in (found.change or "")


def test_synchronous_replication_without_a_standby(setup: Setup, admin: psycopg.Connection) -> None:
    with _system(admin, "synchronous_standby_names", "away"):
        found = find("replication", setup)
        assert (found.level, found.change) == (Level.ERROR, "start the standby")
        with _system(admin, "synchronous_commit", "local"):
            found = find("replication", setup)
    assert found.level is Level.WARNING
    assert (found.change or "").endswith("SET synchronous_commit = on")


def test_a_replication_slot_that_nobody_reads(setup: Setup, admin: psycopg.Connection) -> None:
    admin.execute("SELECT pg_create_physical_replication_slot('gone', true)")
    found = find("replication-slots", setup)
    assert found.level is Level.WARNING
    assert "gone, which keeps " in found.found
    assert found.change == "SELECT pg_drop_replication_slot('gone')"
    admin.execute(found.change)
    assert find("replication-slots", setup).level is Level.OK


@pytest.mark.parametrize(
    ("seconds", "level", "text"),
    [(30, Level.WARNING, "ahead of"), (-30, Level.WARNING, "behind"), (600, Level.ERROR, "ahead")],
)
def test_a_clock_that_is_wrong(
    own: Nodes, setup: Setup, seconds: int, level: Level, text: str
) -> None:
    assert isinstance(own.postgres, SteppedPostgres)
    own.postgres.step(seconds)
    try:
        wait_for("the step", lambda: find("clock", setup).level is level)
        assert text in find("clock", setup).found
    finally:
        own.postgres.step(0)
    wait_for("the right time", lambda: find("clock", setup).level is Level.OK)


def _follow(own: Nodes, found: Finding) -> None:
    """Run the commands of RabbitMQ's that the finding names."""
    for line in commands_of(found.change):
        program, *arguments = shlex.split(line)
        assert program == "rabbitmqctl"
        own.rabbitmq.control(*arguments)


def _user(own: Nodes, *rights: str, tags: str = "") -> str:
    """A new user that may do only this: `name:password`."""
    name, password = f"u{token_hex(4)}", token_hex(8)
    own.rabbitmq.control("add_user", name, password)
    own.rabbitmq.control("set_permissions", name, *rights)
    if tags:
        own.rabbitmq.control("set_user_tags", name, tags)
    return f"{name}:{password}"


@pytest.mark.parametrize(
    ("rights", "level", "lacks"),
    [
        (("^$", "^$", "^$"), Level.ERROR, "For a relay: to write to amq.default, to read "),
        (("^$", r"^amq\.default$", r"\.XQ$"), Level.WARNING, "For a worker: to read "),
        (("^$", "^$", ".*"), Level.WARNING, "For a relay: to write to amq.default"),
        (("^$", ".*", ".*"), Level.OK, ""),
    ],
)
def test_a_user_that_lacks_rights(
    own: Nodes, owner: str, queue: str, rights: tuple[str, ...], level: Level, lacks: str
) -> None:
    amqp_url = re.sub("//.*@", f"//{_user(own, *rights)}@", own.amqp_url)
    found = find("rabbitmq-rights", _setup(own, owner, queue, amqp_url))
    assert found.level is level
    assert lacks in found.found
    _follow(own, found)
    found = find("rabbitmq-rights", _setup(own, owner, queue, amqp_url))
    assert found.level is Level.OK


def test_a_user_that_may_not_make_a_queue_that_is_missing(
    own: Nodes, owner: str, queue: str
) -> None:
    amqp_url = re.sub("//.*@", f"//{_user(own, '^$', '.*', '.*')}@", own.amqp_url)
    found = find("rabbitmq-rights", _setup(own, owner, f"{queue}_new", amqp_url))
    assert found.level is Level.ERROR
    assert f"to configure {queue}_new, " in found.found


ALARMS = [
    (
        "memory",
        ("set_vm_memory_high_watermark", "0.000001"),
        ("set_vm_memory_high_watermark", "0.4"),
    ),
    ("disk space", ("set_disk_free_limit", "100000000000000"), ("set_disk_free_limit", "50MB")),
]


@pytest.mark.parametrize(("what", "raised", "cleared"), ALARMS, ids=lambda each: str(each)[:6])
def test_an_alarm(
    own: Nodes, setup: Setup, what: str, raised: tuple[str, ...], cleared: tuple[str, ...]
) -> None:
    own.rabbitmq.control(*raised)
    try:
        wait_for("the alarm", lambda: find("rabbitmq-alarm", setup).level is Level.ERROR, 60)
        wait_for("the statistics", lambda: find("alarms", setup).level is Level.ERROR, 60)
        assert f"short of {what} of " in find("alarms", setup).found
        assert "short of memory or disk space" in find("rabbitmq-alarm", setup).found
        assert find("rabbitmq-rights", setup).level is Level.SKIPPED
        _follow(own, find("alarms", setup))
        wait_for("no alarm", lambda: find("rabbitmq-alarm", setup).level is Level.OK, 60)
    finally:
        own.rabbitmq.control(*cleared)
    wait_for("the end of the alarm", lambda: find("rabbitmq-alarm", setup).level is Level.OK, 60)


POLICIES = [
    ('{"message-ttl": 60000}', "", Level.ERROR, "its messages expire (message-ttl 60000)"),
    ('{"expires": 600000}', "", Level.ERROR, "it is deleted when it is unused (expires 600000)"),
    ('{"max-length": 5}', r"\.XQ", Level.ERROR, "dead messages are dropped (max-length 5)"),
    ('{"max-length": 5}', "$", Level.WARNING, "DULY_WINDOW, 1000 (max-length 5)"),
    ('{"max-length-bytes": 1}', r"\.XQ", Level.ERROR, "dropped (max-length-bytes 1)"),
    ('{"max-length-bytes": 9000}', "$", Level.WARNING, "1000 (max-length-bytes 9000)"),
    ('{"max-length": 9999, "overflow": "drop-head"}', "$", Level.ERROR, "(max-length 9999)"),
    ('{"overflow": "drop-head"}', "$", Level.WARNING, "(overflow drop-head)"),
    ('{"delivery-limit": 2}', "$", Level.WARNING, "few deliveries (delivery-limit 2)"),
    ('{"delivery-limit": 99}', r"\.XQ", Level.WARNING, "few deliveries (delivery-limit 99)"),
    ('{"dead-letter-strategy": "at-least-once"}', "$", Level.WARNING, "can break it"),
]


@pytest.mark.parametrize(
    ("sort", "definition", "end", "level", "text"),
    [("operator_policy", *POLICIES[0]), *(("policy", *each) for each in POLICIES)],
)
def test_a_policy_that_takes_messages_away(
    own: Nodes,
    setup: Setup,
    queue: str,
    sort: str,
    definition: str,
    end: str,
    level: Level,
    text: str,
) -> None:
    own.rabbitmq.control(f"set_{sort}", "bad", f"^{queue}{end}", definition, "--apply-to", "queues")
    wait_for("the statistics", lambda: find("policies", setup).level is level, 30)
    found = find("policies", setup)
    _follow(own, found)
    wait_for("the statistics", lambda: find("policies", setup).level is Level.OK, 30)
    assert text in found.found


def test_what_overflow_drop_head_makes_of_a_full_queue(own: Nodes, queue: str) -> None:
    """A work queue refuses what is too much, unless a policy says otherwise."""
    definition = '{"max-length": 2, "overflow": "drop-head"}'
    own.rabbitmq.control("set_policy", "bad", f"^{queue}$", definition)
    with closing(Rabbit(own.amqp_url)) as rabbit:
        for _ in range(5):
            rabbit.publish(queue, b"a job")
        wait_for("dropped messages", lambda: rabbit.depth(f"{queue}.XQ") == 3)
    own.rabbitmq.control("clear_policy", "bad")


def test_a_policy_that_leaves_room_for_a_window(own: Nodes, setup: Setup, queue: str) -> None:
    definition = '{"max-length": 1000, "max-length-bytes": 1024000, "delivery-limit": 20}'
    own.rabbitmq.control("set_policy", "good", f"^{queue}$", definition)
    path = f"/api/queues/{{vhost}}/{queue}"
    wait_for("the statistics", lambda: setup.management.get(path).get("policy") == "good", 30)
    assert find("policies", setup).level is Level.OK
    own.rabbitmq.control("clear_policy", "good")


def test_a_classic_queue(own: Nodes, setup: Setup, queue: str) -> None:
    with closing(Rabbit(own.amqp_url)) as rabbit:
        rabbit.delete(queue)
        rabbit.declare_classic(queue)
        wait_for("the statistics", lambda: find("queue-types", setup).level is Level.WARNING, 30)
        assert f"not quorum queues: {queue} (classic)" in find("queue-types", setup).found
        rabbit.publish(queue, b"left behind")
        _follow(own, find("queue-types", setup))
        rabbit.declare(queue)
        wait_for("the statistics", lambda: find("queue-types", setup).level is Level.OK, 30)


def test_queues_with_other_arguments_can_be_replaced(own: Nodes, setup: Setup, queue: str) -> None:
    with closing(Rabbit(own.amqp_url)) as rabbit:
        rabbit.delete(queue)
        rabbit.declare(queue, **{"x-delivery-limit": 3})
        rabbit.publish(queue, b"left behind")
        _follow(own, find("queues", setup))
        rabbit.declare(queue)
        assert find("queues", setup).level is Level.OK


def test_a_queue_that_the_user_may_not_compare_is_not_taken_for_well(
    own: Nodes, owner: str, queue: str
) -> None:
    amqp_url = re.sub("//.*@", f"//{_user(own, '^$', '.*', '.*')}@", own.amqp_url)
    found = find("queues", _setup(own, owner, queue, amqp_url))
    assert found.level is Level.SKIPPED
    assert found.found.startswith(f"RabbitMQ does not compare {queue} (")
    assert f"access to queue '{queue}.XQ' in vhost '/' refused" in found.found
    missing = find("queues", _setup(own, owner, f"{queue}_new", amqp_url))
    assert missing.level is Level.OK


def _managed(own: Nodes, owner: str, queue: str, url: str) -> Finding:
    return find("management", _setup(own, owner, queue, own.amqp_url, management_url=url))


def test_a_management_api_that_cannot_be_used(own: Nodes, owner: str, queue: str) -> None:
    assert isinstance(own.rabbitmq, ManagedRabbitmq)
    where = own.rabbitmq.management_url
    closed = f"http://anna:hunter2@127.0.0.1:{free_port()}"
    wrong = re.sub("//.*@", "//anna:hunter2@", where)
    untagged = re.sub("//.*@", f"//{_user(own, '.*', '.*', '.*')}@", where)
    for url in (closed, wrong, untagged):
        found = _managed(own, owner, queue, url)
        assert found.level is Level.ERROR
        assert found.found.startswith("the management API cannot be used: ")
        assert "hunter2" not in str(found)
    watching = _user(own, "^$", "^$", "^$", tags="monitoring")
    assert _managed(own, owner, queue, re.sub("//.*@", f"//{watching}@", where)).level is Level.OK

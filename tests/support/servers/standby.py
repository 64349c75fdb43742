"""A Postgres and its synchronous standby: no commit is answered before both have it.

Either may be stopped or killed. After a failover the standby is the primary, and the node that was
killed follows it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from dev.owner import claim, password_in, write_for_owner
from dev.ports import free_port
from dev.postgres import USER, PrivatePostgres
from dev.wait import wait_until

NAME = "standby"
STREAMS = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
FOLLOW_SECONDS = 60


class Follower(PrivatePostgres):
    """A Postgres whose data is a copy of its `leader`'s, which it follows, once it has one."""

    leader: PrivatePostgres | None = None

    def follow(self, leader: PrivatePostgres) -> None:
        """Forget all data, copy the leader's, and serve as its standby."""
        self.leader = leader
        self.wipe()
        self.start()

    def promote(self) -> None:
        """Become a primary; returns when it takes writes."""
        self._check(self._program("pg_ctl"), "promote", "-w", "-D", str(self.data))
        self.leader = None

    def _create_data(self) -> None:
        if self.leader is None:
            super()._create_data()
            return
        claim(self.folder)
        write_for_owner(self.folder / "password", password_in(self.leader.folder))
        port = f"port={self.leader.port} application_name={NAME}"
        options = ("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync")
        self._check(self._program("pg_basebackup"), "-d", port, "-D", str(self.data), *options)


class Pair:
    """A primary and its synchronous standby."""

    def __init__(self, primary: Follower, standby: Follower) -> None:
        self.primary = primary
        self.standby = standby

    def start(self) -> None:
        """Start both; from then on each commit waits for the standby."""
        self.primary.start()
        with self.connect() as database:
            database.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
            database.execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'")
            database.execute("SELECT pg_reload_conf()")
        self.restore()

    def restore(self) -> None:
        """Let the standby follow the primary anew; returns when commits are answered."""
        self.standby.follow(self.primary)
        self.wait_for_standby()

    def wait_for_standby(self) -> None:
        """Until commits are answered again."""

        def streams() -> bool:
            with suppress(psycopg.OperationalError), self.connect() as database:
                return database.execute(STREAMS).fetchone() is not None
            return False

        assert wait_until(streams, FOLLOW_SECONDS), "the standby does not follow"

    def fail_over(self) -> None:
        """Kill the primary and promote the standby, whose commits wait until `restore`."""
        self.primary.kill()
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    @contextmanager
    def standby_away(self) -> Iterator[None]:
        """The standby is stopped meanwhile, so no commit is answered."""
        self.standby.stop()
        try:
            yield
        finally:
            self.standby.start()
            self.wait_for_standby()

    def cancel_a_commit(self) -> None:
        """Wait until a commit waits for the standby, and cancel it as an operator does."""
        wait_until(lambda: bool(self.commits_that_wait()), FOLLOW_SECONDS)
        with self.connect() as database:
            database.execute(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")

    def connect(self) -> "psycopg.Connection[Any]":
        """A connection to the primary that commits each statement."""
        return psycopg.connect(self.primary.url("postgres"), autocommit=True)

    def commits_that_wait(self) -> list[int]:
        """The backends whose commits wait for the standby."""
        with self.connect() as database:
            return [pid for (pid,) in database.execute(WAITING)]

    def url(self, database: str, *ports: int) -> str:
        """Where clients find whichever is the primary; on these ports, if not on the nodes' own."""
        nodes = sorted(ports) or sorted((self.primary.port, self.standby.port))
        hosts = ",".join("127.0.0.1" for _ in nodes)
        login = f"{USER}:{password_in(self.primary.folder)}"
        query = f"host={hosts}&port={','.join(map(str, nodes))}&target_session_attrs=read-write"
        return f"postgresql://{login}@/{database}?{query}"


@contextmanager
def running_pair(folder: Path) -> Iterator[Pair]:
    """Both nodes with their data in the folder; stopped afterwards."""
    pair = Pair(Follower(folder / "one", free_port()), Follower(folder / "two", free_port()))
    try:
        pair.start()
        yield pair
    finally:
        pair.primary.kill()
        pair.standby.kill()

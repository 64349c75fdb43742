"""What no job should do, each a deed that a job names; and good jobs that run beside them."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

from pydantic import BaseModel
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from actors.webhooks import deliver
from outbox import Actor, Actors, Job, Kind, Retry, Work, actor
from outbox.errors import TimeLimitExceeded
from service.webhooks.kinds import DELIVER_WEBHOOK
from tests.support.engine.effects import Effects

QUEUE = os.environ.setdefault("HOSTILE_QUEUE", f"hostile-{os.getpid()}")
"""The test's own; a worker that it starts inherits the name."""

MEGABYTE = 1_000_000
LEFT_OPEN: list[Session] = []


class Deed(BaseModel):
    """The name of what to do."""

    name: str


HOSTILE = Kind(
    "hostile.deed",
    Deed,
    queue=QUEUE,
    time_limit=timedelta(seconds=30),  # a busy machine is no time limit exceeded
    retry=Retry(attempts=2, first=timedelta(seconds=0.1)),
)
BRIEF = replace(HOSTILE, name="hostile.brief", time_limit=timedelta(seconds=2))
HOOK = replace(DELIVER_WEBHOOK, queue=QUEUE, retry=Retry(attempts=1))
GOOD = Kind("hostile.good", Deed, queue=QUEUE, retry=Retry(first=timedelta(seconds=0.1)))


def take_all_memory(_: Job) -> None:
    """Allocates until there is no more, without the time that it takes to write to all of it."""
    hoard, size = [], 64 * MEGABYTE
    while size > 32:
        try:
            hoard.append(bytes(size))
        except MemoryError:
            size //= 2
    raise MemoryError


def be_killed(_: Job) -> None:
    """As by the kernel when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def read_nowhere(_: Job) -> None:
    """A segmentation fault."""
    ctypes.string_at(0)


def exit_at_once(_: Job) -> None:
    """Ends the process without a word."""
    os._exit(0)


def exit_from_thread(_: Job) -> None:
    """Ends the process from a thread of its own."""
    thread = threading.Thread(target=os._exit, args=[1])
    thread.start()
    thread.join()


def exit_politely(_: Job) -> None:
    """As a program does at its end."""
    sys.exit(3)


def interrupt(_: Job) -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def kill_own_thread(_: Job) -> None:
    """An exception sent to its thread from outside."""
    own = ctypes.c_ulong(threading.get_ident())
    ctypes.pythonapi.PyThreadState_SetAsyncExc(own, ctypes.py_object(SystemExit))


def loop(_: Job) -> None:
    """Never ends by itself."""
    while True:
        pass


def exceed_the_limit(_: Job) -> None:
    """Raises what the engine raises."""
    raise TimeLimitExceeded("says the actor")


def recurse(job: Job) -> None:
    """Calls itself, for ever."""
    recurse(job)


def leave_children(_: Job) -> NoReturn:
    """Children that die and are waited for by nobody, and one that lingers."""
    for _number in range(50):
        subprocess.Popen(["false"])
    lingering = subprocess.Popen(["sleep", "30"])
    raise ChildProcessError(f"left {lingering.pid} behind")


def fork(_: Job) -> Any:
    """Has children that go on as if they were the actor, one by an error, and waits for each."""
    for leave in (str, loudly):
        child = os.fork()
        if child == 0:
            return leave()
        os.waitpid(child, 0)
    raise ChildProcessError("both have ended")


def end_threads(_: Job) -> NoReturn:
    """Threads that exit and raise."""
    for target in (sys.exit, loudly):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    raise ValueError("all ended")


def loudly() -> NoReturn:
    """Raises."""
    raise ValueError("in a thread")


def raise_unprintable(_: Job) -> NoReturn:
    """An error whose text is huge and cannot be stored."""
    raise ValueError("\0\ud800" + "x" * 100 * MEGABYTE)


def close_session(job: Job) -> None:
    """Closes the session that completes the job."""
    with job.transaction() as tx:
        Effects.add(tx, job.id)
        tx.close()


def roll_back(job: Job) -> None:
    """Rolls the effect back, and lets the job be completed."""
    with job.transaction() as tx:
        Effects.add(tx, job.id)
        tx.rollback()


def break_transaction(job: Job) -> None:
    """Goes on after an error that has ended the transaction in Postgres."""
    with job.transaction() as tx:
        Effects.add(tx, job.id)
        with suppress(DataError):
            tx.connection().exec_driver_sql("SELECT 1 / 0")


def end_own_connection(job: Job) -> None:
    """Makes Postgres end its connection."""
    with job.transaction() as tx:
        tx.connection().exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def fill_the_disk(job: Job) -> None:
    """Asks Postgres for more room than it may have."""
    with job.transaction() as tx:
        sql = tx.connection().exec_driver_sql
        sql("SET LOCAL temp_file_limit = 100")
        sql("SET LOCAL work_mem = 64")
        sql("SELECT * FROM generate_series(1, 300000) AS n ORDER BY -n OFFSET 300000")


def leave_transaction_open(job: Job) -> NoReturn:
    """Holds a connection, a transaction and its locks, for ever."""
    session = job.sessions().__enter__()
    Effects.add(session, job.id)
    LEFT_OPEN.append(session)
    raise ValueError("left it open")


def return_much(_: Job) -> str:
    """A result that nobody can look at."""
    return "x" * 50 * MEGABYTE


DEEDS: dict[str, Callable[[Job], Any]] = {
    each.__name__: each
    for each in (
        take_all_memory,
        be_killed,
        read_nowhere,
        exit_at_once,
        exit_from_thread,
        exit_politely,
        interrupt,
        kill_own_thread,
        loop,
        exceed_the_limit,
        recurse,
        leave_children,
        fork,
        end_threads,
        raise_unprintable,
        close_session,
        roll_back,
        break_transaction,
        end_own_connection,
        fill_the_disk,
        leave_transaction_open,
        return_much,
    )
}


def hostile(deed: str) -> Work[Deed]:
    """The work whose deed this is; its time is short where it would never end."""
    return (BRIEF if deed == "loop" else HOSTILE)(name=deed)


@actor(HOSTILE)
def do_deed(deed: Deed, job: Job) -> Any:
    """Does what the job names."""
    return DEEDS[deed.name](job)


@actor(GOOD)
def do_good(_: Deed, job: Job) -> None:
    """Has one effect."""
    with job.transaction() as tx:
        Effects.add(tx, job.id)


ACTORS = Actors([do_deed, Actor(BRIEF, do_deed.function), do_good, Actor(HOOK, deliver.function)])

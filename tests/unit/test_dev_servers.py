"""The developer environment finds servers, and touches no process that is not its own."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev import amqp, binaries, memory, ports, private, processes
from dev.postgres import PrivatePostgres
from dev.rabbitmq import PrivateRabbitmq
from dev.say import CHECKOUT, Failure
from dev.server import PrivateServer
from dev.servers import Servers, up

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def sleeper() -> Iterator[Start]:
    """Starts processes that do nothing, and ends them."""
    running: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen(["sleep", "60"], env=os.environ | variables))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_servers_in_the_environment_are_used_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://there/theirs")
    monkeypatch.setenv("AMQP_URL", "amqp://there/theirs")
    assert up() == Servers("postgresql://there/theirs", "amqp://there/theirs", "environment")


def test_a_folder_in_memory_is_made_once_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "MEMORY", tmp_path)
    monkeypatch.setattr(memory, "LEAST_BYTES", 1)
    monkeypatch.setattr(memory, "reachable", lambda _: True)
    made = memory.folder("a")
    assert made == tmp_path / "duly-a"
    assert memory.is_used("a")
    monkeypatch.setattr(memory, "LEAST_BYTES", 2**60)
    assert memory.folder("a") == made
    memory.forget("a")
    assert not memory.is_used("a")


@pytest.mark.parametrize(
    ("name", "is_in_memory"),
    [("duly_test", True), ("duly_test_gw2", True), ("duly_demo", False), ("duly_bench", False)],
)
def test_each_process_of_a_test_run_has_its_database_in_memory_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, is_in_memory: bool
) -> None:
    monkeypatch.setattr(memory, "folder", lambda _: tmp_path)
    found = private._of_tests("postgres", name)
    assert (found is not None) == is_in_memory


def test_with_too_little_memory_there_is_no_folder_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "MEMORY", tmp_path)
    monkeypatch.setattr(memory, "LEAST_BYTES", 2**60)
    assert memory.folder("a") is None
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "missing")
    assert memory.folder("a") is None


def test_a_name_that_would_need_quoting_is_refused_in_one_line() -> None:
    command = [sys.executable, "-m", "dev.servers", "up", "--name", 'a"b']
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_programs_are_taken_from_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("postgres", "initdb", "pg_ctl", "pg_isready", "psql", "rabbitmq-server"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n")
        (tmp_path / name).chmod(0o755)
    for variable in ("DULY_POSTGRES_BIN", "DULY_RABBITMQ_SBIN"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert (binaries.postgres(), binaries.rabbitmq()) == (tmp_path, tmp_path)
    assert binaries.postgres(98) is None


def test_a_port_is_chosen_once(tmp_path: Path) -> None:
    chosen = ports.remembered_port(tmp_path / "port")
    assert ports.is_free(chosen)
    assert ports.remembered_port(tmp_path / "port") == chosen


def test_a_stale_pid_file_is_not_believed(tmp_path: Path, sleeper: Start) -> None:
    innocent = sleeper()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "postmaster.pid").write_text(f"{innocent.pid}\n{tmp_path}\n")
    server = PrivatePostgres(tmp_path, ports.free_port())
    assert server.pid() is None
    assert not server.is_up()
    server.stop()
    server.kill()
    assert innocent.poll() is None


def test_a_process_is_seen_while_it_becomes_another_program(tmp_path: Path) -> None:
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    restless = subprocess.Popen([script], env=os.environ | {"MARK": str(tmp_path)})
    try:
        marked = [_is_marked(restless, tmp_path) for _ in range(2000)]
    finally:
        restless.kill()
        restless.wait()
    assert all(marked)


def _is_marked(process: "subprocess.Popen[bytes]", mark: Path) -> bool:
    return processes.has_variable(processes.PROC / str(process.pid), f"MARK={mark}")


class Sleeping(PrivateServer):
    """A server that serves once it sleeps: it needs nothing installed."""

    kind = "sleeping"
    stop_signal = signal.SIGTERM

    def is_up(self) -> bool:
        return bool(self.pid())

    def pid(self) -> int | None:
        found = processes.find(lambda each: self._owns(each) and (each / "cwd").samefile(self.data))
        return found[0] if found else None

    def url(self, name: str) -> str:
        return f"sleeping:{name}"

    def ensure(self, name: str) -> None:
        """Needs nothing."""

    def _launch(self) -> None:
        self._check(Path("setsid"), "--fork", "sh", "-c", "mkdir data; cd data; exec sleep 60")

    def _lives(self) -> bool:
        return bool(processes.find(self._owns))

    def _owns(self, process: Path) -> bool:
        return processes.has_variable(process, f"SLEEPING={self.folder}")

    def _environment(self) -> dict[str, str]:
        return os.environ | {"SLEEPING": str(self.folder)}


def test_a_server_starts_although_a_process_of_the_last_one_is_still_about_to_end() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = Sleeping(Path(folder), ports.free_port())
        left = subprocess.Popen(["sleep", "0.5"], env=server._environment())
        try:
            server.start()
            assert left.wait() == 0
            assert server.is_up()
        finally:
            left.wait()
            server.kill()


def test_what_a_server_said_last_is_in_the_error(tmp_path: Path) -> None:
    node = PrivateRabbitmq(tmp_path, ports.free_port())
    node.log.write_text("".join(f"line {number}\n" for number in range(100)))
    with pytest.raises(Failure, match=r"(?s)\Aline 80\n.*line 99\nrabbitmq: setsid failed, see "):
        node._check(Path("setsid"), "false")


def test_a_node_is_all_processes_with_its_mark_and_no_other(tmp_path: Path, sleeper: Start) -> None:
    node = PrivateRabbitmq(tmp_path, ports.free_port())
    mine = sleeper(RABBITMQ_MNESIA_BASE=str(node.data))
    other = sleeper(RABBITMQ_MNESIA_BASE=f"{node.data}2")
    node.kill()
    assert mine.wait(timeout=5) < 0
    assert other.poll() is None


def test_a_process_that_has_ended_is_nobodys(sleeper: Start) -> None:
    zombie = sleeper(MARK="zombie")
    zombie.kill()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.find(lambda process: processes.has_variable(process, "MARK=zombie"))


def test_where_nobody_listens_nothing_opens() -> None:
    assert not amqp.opens(f"amqp://duly:secret@127.0.0.1:{ports.free_port()}/duly")


def test_make_env_prints_what_a_shell_can_take() -> None:
    urls = {"DATABASE_URL": "postgresql://h/d?a=1&b=2", "AMQP_URL": "amqp://h/%2F;amqp://i"}
    take = 'PATH="/first:$PATH"; eval "$(make -s env NAME=shop)"'
    show = 'echo "$DATABASE_URL $AMQP_URL $PATH"'
    printed = subprocess.check_output(
        ["bash", "-c", f"{take}; {show}"], cwd=CHECKOUT, env=os.environ | urls, text=True
    )
    database_url, amqp_url, path = printed.split(" ", 2)
    assert (database_url, amqp_url) == (urls["DATABASE_URL"], urls["AMQP_URL"])
    assert path.startswith("/first:")
    assert path.endswith(f":{CHECKOUT}/.venv/bin\n")

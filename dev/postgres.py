"""A Postgres of our own, from the binaries that are installed."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from dev import binaries
from dev.owner import password_in
from dev.processes import PROC, program
from dev.say import Failure, shown
from dev.server import PrivateServer

USER = "duly"


class PrivatePostgres(PrivateServer):
    """One private Postgres; a name is a database."""

    kind = "postgres"
    stop_signal = signal.SIGINT  # does not wait for clients to leave

    def is_up(self) -> bool:
        return bool(self.pid()) and self._run(self._program("pg_isready"), "-q")

    def pid(self) -> int | None:
        # The pid file may be older than a reboot, and the pid another process's by now.
        with suppress(OSError):
            pid = (self.data / "postmaster.pid").read_text().splitlines()[0]
            return int(pid) if self._owns(PROC / pid) else None
        return None

    def url(self, name: str) -> str:
        return f"postgresql://{USER}:{password_in(self.folder)}@127.0.0.1:{self.port}/{name}"

    def ensure(self, name: str) -> None:
        if not self._run(self._program("psql"), "-X", "-d", name, "-c", ""):
            self._check(self._program("createdb"), name)

    def _launch(self) -> None:
        if not self.data.exists():
            self._create_data()
        # A stale pid file keeps Postgres from starting if the pid is another process's by now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            # None: their paths may be no longer than 107 bytes, and nothing here needs one.
            "unix_socket_directories": "",
            "max_connections": 200,
            "max_prepared_transactions": 8,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        arguments = ("start", "-D", str(self.data), "-l", str(self.log), "-o", options)
        self._check(self._program("pg_ctl"), *arguments)

    def _create_data(self) -> None:
        # Renamed when complete, so that nothing starts on what an interrupted initdb left.
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        password_in(self.folder)
        self._check(
            self._program("initdb"),
            *("-D", str(new), "-U", USER, "--encoding=UTF8", "--locale=C"),
            *("--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}"),
        )
        new.rename(self.data)

    def _lives(self) -> bool:
        return bool(self.pid())

    def _owns(self, process: Path) -> bool:
        works_there = (process / "cwd").samefile(self.data)
        return works_there and program(process).startswith("postgres")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": password_in(self.folder),
            "PGDATABASE": "postgres",
        }

    def _program(self, name: str) -> Path:
        made_by = self.data / "PG_VERSION"
        version = int(made_by.read_text()) if made_by.exists() else None
        folder = binaries.postgres(version)
        if folder is None:
            raise Failure(
                f"postgres: {shown(self.data)} needs version {version or 'any'} installed"
            )
        return folder / name

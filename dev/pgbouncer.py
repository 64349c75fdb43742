"""PgBouncer, from a later Debian than this machine's, for tests through a pooler.

Debian 12 has 1.18, which cannot tell the prepared statements of its clients apart.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict

from dev import debian
from dev.owner import as_owner, claim, open_log, write_for_owner
from dev.ports import free_port, is_free
from dev.say import Failure
from dev.wait import wait_until

CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
pool_mode = transaction
auth_type = scram-sha-256
auth_file = {folder}/users
auth_user = {user}
"""


def program(home: Path) -> list[str]:
    """The command that runs it, with the libraries it was built for; unpacked when first asked."""
    return debian.command(home, "pgbouncer", "sbin/pgbouncer")


@contextmanager
def running(command: list[str], database_url: str, **settings: str) -> Iterator[int]:
    """PgBouncer in transaction mode before that server, else as it comes; yields its port.

    `settings` are of pgbouncer.ini. It ends with the block.
    """
    with TemporaryDirectory(prefix="duly-pgbouncer-") as home:
        Path(home).chmod(0o711)  # its user is another
        folder, port = Path(home, "pgbouncer"), free_port()
        _configure(folder, port, conninfo_to_dict(database_url), settings)
        with open_log(folder / "log") as log:
            process = subprocess.Popen(
                [*command, str(folder / "pgbouncer.ini")],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_owner(folder),
            )
        try:
            if not wait_until(lambda: not is_free(port), seconds=20):
                raise Failure(f"pgbouncer: does not serve: {(folder / 'log').read_text()}")
            yield port
        finally:
            process.kill()
            process.wait()


def _configure(
    folder: Path, port: int, server: Mapping[str, object], settings: Mapping[str, str]
) -> None:
    claim(folder)
    lines = [
        CONFIGURATION.format(**server, own_port=port, folder=folder),
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    write_for_owner(folder / "pgbouncer.ini", "\n".join(lines))
    write_for_owner(folder / "users", f'"{server["user"]}" "{server["password"]}"\n')


def through(port: int, database_url: str) -> str:
    """The address of the same database by way of the pooler on that port."""
    parts = urlsplit(database_url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))

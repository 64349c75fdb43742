"""The user a private server runs as: ourselves or, when we are root, somebody with fewer rights.

Postgres refuses to run as root, and no development server needs to.
"""

import os
import pwd
import secrets
import subprocess
from pathlib import Path
from typing import Any, TextIO

from dev.say import Failure

UNPRIVILEGED = ("postgres", "nobody")


def claim(folder: Path) -> None:
    """Make the folder, closed to others and owned by the user its server will run as."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid == 0:
        os.chown(folder, *_unprivileged())
    folder.chmod(0o700)
    if not reaches(folder, folder.stat().st_uid):
        raise Failure(f"the user {folder.owner()}, who runs the server, cannot enter {folder}")


def as_owner(folder: Path) -> dict[str, Any]:
    """The arguments that make subprocess run a command as the owner of the folder."""
    if os.geteuid() != 0:
        return {}
    status = folder.stat()
    return {"user": status.st_uid, "group": status.st_gid, "extra_groups": []}


def write_for_owner(path: Path, text: str) -> None:
    """Write a file that only the owner of its folder can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    status = path.parent.stat()
    os.chown(path, status.st_uid, status.st_gid)


def password_in(folder: Path) -> str:
    """The password kept in the folder, made up when first asked for."""
    path = folder / "password"
    if not path.exists():
        write_for_owner(path, secrets.token_hex(16))
    return path.read_text()


def open_log(path: Path) -> TextIO:
    """Open a log that the owner of its folder can append to as well."""
    if not path.exists():
        write_for_owner(path, "")
    return path.open("a")


def reachable(folder: Path) -> bool:
    """Whether the user a server would run as can enter the folder."""
    return os.geteuid() != 0 or reaches(folder, _unprivileged()[0])


def reaches(folder: Path, user: int) -> bool:
    """Whether the user can enter the folder, through all its parents."""
    if os.geteuid() != 0:
        return os.access(folder, os.X_OK)
    asked = subprocess.run(["test", "-x", folder], cwd="/", user=user, group=user, extra_groups=[])
    return asked.returncode == 0


def _unprivileged() -> tuple[int, int]:
    known = {entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return known[name]
    raise Failure(f"root needs one of the users {', '.join(UNPRIVILEGED)} to run servers as")

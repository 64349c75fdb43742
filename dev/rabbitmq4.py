"""RabbitMQ 4 with its Erlang, from a later Debian than this machine's, beside what is installed.

Each program sees the later Debian's /usr in place of ours, in a mount namespace of its own.
"""

import shlex
from pathlib import Path

from dev import debian

PACKAGES = ("rabbitmq-server", "bash", "coreutils", "dash", "grep", "hostname", "mawk", "sed")
"""It, and what every Debian has, so that no package says that it needs it."""

# Mounting needs root. It is that to itself only: to all others it is who started it.
PROGRAM = """#!/bin/sh
exec unshare --map-root-user --mount sh -c 'mount --bind "$0" /usr && exec "$@"' \\
    {usr} /usr/lib/rabbitmq/bin/{name} "$@"
"""


def programs(home: Path) -> Path:
    """The folder with rabbitmq-server and rabbitmqctl, below `home`; made when first asked for."""
    return _write_programs(debian.unpack(home, *PACKAGES) / "usr", home / "sbin")


def _write_programs(usr: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        program = folder / name
        program.write_text(PROGRAM.format(usr=shlex.quote(str(usr)), name=name))
        program.chmod(0o755)
    return folder

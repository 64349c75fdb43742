"""RabbitMQ 4 with its Erlang, from a later Debian than this machine's, beside what is installed.

Its packages are unpacked, not installed: no script of theirs runs, and this machine's apt never
hears of them. Each program sees the later Debian's /usr in place of ours, in a mount namespace of
its own.
"""

import shlex
import subprocess
from pathlib import Path

from dev.logged import run_logged
from dev.say import Failure, say

RELEASE = "trixie"
PACKAGES = ("rabbitmq-server", "bash", "coreutils", "dash", "grep", "hostname", "mawk", "sed")
"""It, and what every Debian has, so that no package says that it needs it."""

# Mounting needs root. It is that to itself only: to all others it is who started it.
PROGRAM = """#!/bin/sh
exec unshare --map-root-user --mount sh -c 'mount --bind "$0" /usr && exec "$@"' \\
    {usr} /usr/lib/rabbitmq/bin/{name} "$@"
"""


def programs(home: Path) -> Path:
    """The folder with rabbitmq-server and rabbitmqctl, below `home`; made when first asked for."""
    programs = home / "sbin"
    if not programs.exists():
        say(f"rabbitmq4: unpacking it from Debian {RELEASE} ...")
        _download(home)
        for package in (home / "cache/archives").glob("*.deb"):
            run_logged(home / "log", "dpkg-deb", "--extract", str(package), str(home / "root"))
        # Renamed when complete, as the sign that all is.
        _write_programs(home / "root/usr", home / "sbin.new").rename(programs)
    return programs


def _download(home: Path) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "state/status").touch()  # which says that nothing is installed
    (home / "sources.list").write_text(f"deb {_mirror()} {RELEASE} main\n")
    _apt(home, "update")
    _apt(home, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES)


def _mirror() -> str:
    """Where this machine gets its own Debian from."""
    question = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian")
    try:
        answer = subprocess.run(question, capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        answer = []
    mirrors = [uri for uri in answer if not uri.rstrip("/").endswith("security")]
    if not mirrors:
        raise Failure("rabbitmq4: needs a Debian whose apt has been updated (apt update)")
    return mirrors[0]


def _apt(home: Path, *arguments: str) -> None:
    settings = {
        "Dir::Etc::SourceList": home / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": home / "state",
        "Dir::State::status": home / "state/status",
        "Dir::Cache": home / "cache",
        "APT::Sandbox::User": "",  # apt's own user may not enter the folder
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    run_logged(home / "log", "apt-get", *options, *arguments)


def _write_programs(usr: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        program = folder / name
        program.write_text(PROGRAM.format(usr=shlex.quote(str(usr)), name=name))
        program.chmod(0o755)
    return folder

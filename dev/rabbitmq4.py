"""RabbitMQ 4 with its Erlang, from a later Debian than this machine's, beside what is installed.

Its packages are unpacked, not installed: no script of theirs runs, and this machine's apt never
hears of them. Each program sees the later Debian's /usr in place of ours, in a mount namespace of
its own.
"""

import shlex
import subprocess
from pathlib import Path

from dev.logged import run_logged
from dev.say import CHECKOUT, Failure, say

RELEASE = "trixie"
HOME = CHECKOUT / ".servers" / "rabbitmq4"
LOG = HOME / "log"
ROOT, PROGRAMS = HOME / "root", HOME / "sbin"
PACKAGES = ("rabbitmq-server", "bash", "coreutils", "dash", "grep", "hostname", "mawk", "sed")
"""It, and what every Debian has, so that no package says that it needs it."""

# Mounting needs root. It is that to itself only: to all others it is who started it.
PROGRAM = """#!/bin/sh
exec unshare --map-root-user --mount sh -c 'mount --bind "$0" /usr && exec "$@"' \\
    {usr} /usr/lib/rabbitmq/bin/{name} "$@"
"""


def programs() -> Path:
    """The folder with rabbitmq-server and rabbitmqctl; made when first asked for."""
    if not PROGRAMS.exists():
        say(f"rabbitmq4: unpacking it from Debian {RELEASE} ...")
        _download()
        for package in (HOME / "cache/archives").glob("*.deb"):
            run_logged(LOG, "dpkg-deb", "--extract", str(package), str(ROOT))
        _write_programs()
    return PROGRAMS


def _download() -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
    (HOME / "state/status").touch()  # which says that nothing is installed
    (HOME / "sources.list").write_text(f"deb {_mirror()} {RELEASE} main\n")
    _apt("update")
    _apt("install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES)


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


def _apt(*arguments: str) -> None:
    settings = {
        "Dir::Etc::SourceList": HOME / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State": HOME / "state",
        "Dir::State::status": HOME / "state/status",
        "Dir::Cache": HOME / "cache",
        "APT::Sandbox::User": "",  # apt's own user may not enter the folder
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    run_logged(LOG, "apt-get", *options, *arguments)


def _write_programs() -> None:
    # Renamed when complete, as the sign that all the rest is.
    new = HOME / "sbin.new"
    new.mkdir(exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        program = new / name
        program.write_text(PROGRAM.format(usr=shlex.quote(str(ROOT / "usr")), name=name))
        program.chmod(0o755)
    new.rename(PROGRAMS)

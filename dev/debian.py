"""Programs of a later Debian than this machine's, beside what is installed.

Packages are unpacked, not installed: no script of theirs runs, and this machine's apt never hears
of them.
"""

import subprocess
from pathlib import Path

from dev.alone import alone
from dev.logged import run_logged
from dev.say import Failure, say

RELEASE = "trixie"


def unpack(home: Path, *packages: str) -> Path:
    """The root folder, below `home`, of these packages and all that they depend on.

    They are downloaded when first asked for. Raises Failure, which names the log.
    """
    root = home / "root"
    with alone(home):
        if not root.exists():
            say(f"{packages[0]}: unpacking it from Debian {RELEASE} ...")
            _download(home, packages)
            _extract(home, home / "root.new")
            (home / "root.new").rename(root)  # the sign that all is there
    return root


def command(home: Path, package: str, program: str) -> list[str]:
    """What runs a program of the package, such as `sbin/pgbouncer`; unpacked when first asked for.

    With the libraries that it was built for.
    """
    usr = unpack(home, package) / "usr"
    loader, *libraries = usr / "lib64/ld-linux-x86-64.so.2", *usr.glob("lib/*-linux-gnu")
    return [str(loader), "--library-path", ":".join(map(str, libraries)), str(usr / program)]


def _download(home: Path, packages: tuple[str, ...]) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "state/status").touch()  # which says that nothing is installed
    (home / "sources.list").write_text(f"deb {_mirror()} {RELEASE} main\n")
    _apt(home, "update")
    _apt(home, "install", "--yes", "--download-only", "--no-install-recommends", *packages)


def _extract(home: Path, folder: Path) -> None:
    for package in (home / "cache/archives").glob("*.deb"):
        run_logged(home / "log", "dpkg-deb", "--extract", str(package), str(folder))


def _mirror() -> str:
    """Where this machine gets its own Debian from."""
    question = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian")
    try:
        answer = subprocess.run(question, capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        answer = []
    mirrors = [uri for uri in answer if not uri.rstrip("/").endswith("security")]
    if not mirrors:
        raise Failure("a later Debian: needs a Debian whose apt has been updated (apt update)")
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

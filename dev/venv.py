"""Make .venv, with exactly what requirements-dev.txt locks."""

import importlib.util
import subprocess
import sys

from dev.install import install
from dev.say import CHECKOUT, Failure, say, shown

FOLDER = CHECKOUT / ".venv"
PYTHON = FOLDER / "bin" / "python"
LOG = CHECKOUT / ".servers" / "venv.log"


def make() -> None:
    """Create .venv if it is missing or broken, and bring its packages up to date."""
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    if not _has_pip():
        _create()
    say("venv: installing the packages of requirements-dev.txt ...")
    _pip("--require-hashes", "--no-deps", "-r", "requirements-dev.txt")
    _pip("--no-deps", "--no-build-isolation", "-e", ".")


def _has_pip() -> bool:
    return PYTHON.exists() and _succeeds(str(PYTHON), "-m", "pip", "--version")


def _create() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not importlib.util.find_spec("ensurepip"):
        install(f"python{version}-venv")
    say(f"venv: creating .venv with Python {version} ...")
    _check(sys.executable, "-m", "venv", "--clear", str(FOLDER))


def _pip(*arguments: str) -> None:
    _check(str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *arguments)


def _check(*command: str) -> None:
    if not _succeeds(*command):
        raise Failure(f"venv: {' '.join(command)} failed, see {shown(LOG)}")


def _succeeds(*command: str) -> bool:
    with LOG.open("ab") as log:
        return not subprocess.run(command, cwd=CHECKOUT, stdout=log, stderr=log).returncode


if __name__ == "__main__":
    try:
        make()
    except Failure as failure:
        say(str(failure))
        sys.exit(1)

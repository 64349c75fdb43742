"""Lock the dependencies that pyproject.toml names into both requirements files, with uv.

Arguments go to uv: --upgrade takes the newest versions, else the locked ones are kept.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.say import CHECKOUT

EXTRAS = tuple(
    part for extra in ("http", "cli", "metrics", "traces") for part in ("--extra", extra)
)
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--generate-hashes"),
    *("--no-emit-index-url", "--no-header", "pyproject.toml"),
)
FILES = {
    "requirements.txt": (*EXTRAS, "--group", "service"),
    "requirements-dev.txt": (
        *EXTRAS,
        *("--group", "service", "--group", "dev", "--group", "bench"),
        *("--constraint", "requirements.txt"),
    ),
}


def lock(uv: str | Path) -> None:
    """Remake both files; the development one agrees with the other."""
    for file, options in FILES.items():
        command = [uv, *COMPILE, *options, "--output-file", file, *sys.argv[1:]]
        subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)


def lock_with_throwaway_uv() -> None:
    """The same where uv is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        lock(python.with_name("uv"))


if __name__ == "__main__":
    try:
        if installed := shutil.which("uv"):
            lock(installed)
        else:
            lock_with_throwaway_uv()
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)

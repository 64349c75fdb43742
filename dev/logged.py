"""Run a program whose output matters only when it fails."""

import subprocess
from pathlib import Path

from dev.say import Failure, shown


def run_logged(log: Path, *command: str) -> None:
    """Run it, with what it says in the log. Raises Failure, which names both."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    if done.returncode:
        raise Failure(f"{Path(command[0]).name} failed, see {shown(log)}")

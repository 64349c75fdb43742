"""Keeps one command running: `python -m dev.demo.supervise command …` starts it again when it ends.

What a container engine's restart policy does for docker-compose.yml, this does for the demo.
"""

import signal
import subprocess
import sys
import threading

from dev.say import say

PAUSE_SECONDS = 0.5


def supervise(command: list[str]) -> None:
    """Run the command, again and again, until SIGTERM; then end it and return."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.is_set():
        child = subprocess.Popen(command)
        while child.poll() is None and not stopping.wait(0.1):
            pass
        if not stopping.is_set():
            say(f"{command[-1]} ended ({child.returncode}); starting it again")
            stopping.wait(PAUSE_SECONDS)
    child.terminate()
    child.wait()


if __name__ == "__main__":
    supervise(sys.argv[1:])

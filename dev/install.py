"""Install Debian packages without starting the services they bring."""

import os
import shutil
import subprocess

from dev.say import CHECKOUT, Failure, say, shown

LOG = CHECKOUT / ".servers" / "install.log"

# Debian asks /usr/sbin/policy-rc.d before it starts a service; 101 means no. One that is
# there already says what its owner wants, so it stays. RUNLEVEL=1 says the same to those
# packages that start their service without asking.
APT_SCRIPT = """
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get -o DPkg::Lock::Timeout=120 update
apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@"
"""


def install(*packages: str) -> None:
    """Install the packages with apt, or fail saying which ones are missing."""
    names, become_root = " ".join(packages), _become_root()
    if become_root is None or not shutil.which("apt-get"):
        raise Failure(f"not installed, please run: apt install {names}")
    say(f"install: apt install {names} ...")
    command = [*become_root, "sh", "-c", APT_SCRIPT, "install", *packages]
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if done.returncode:
        raise Failure(f"apt could not install {names}, see {shown(LOG)}")


def _become_root() -> list[str] | None:
    """What to put before a command so that it runs as root; None where nothing can."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True)
    return None if asked.returncode else ["sudo", "-n"]

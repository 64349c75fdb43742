"""Takes each guard out of the SQL of the steps, one at a time, and runs the tests without it.

A guard that no test misses needs a test, or is needless: exits 1 where there is one. Arguments are
names of steps; without any, all are tried.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.protocol.guards import Guard, guards

ENGINE = Path("tests/integration/engine")
STEPS = [*sorted(map(str, ENGINE.glob("test_transitions_*.py"))), str(ENGINE / "test_plans.py")]
PYTEST = [sys.executable, "-m", "pytest", "-x", "--tb=no"]


def main() -> None:
    """Try the guards and say what became of each."""
    if test := _failing_test():
        sys.exit(f"{test} fails even with all guards")
    tried = [guard for guard in guards() if not sys.argv[1:] or guard.step in sys.argv[1:]]
    survivors = [guard for guard in tried if not _is_missed(guard)]
    _say(f"of {len(tried)} guards {len(survivors)} could go unnoticed", *survivors)
    sys.exit(bool(survivors))


def _is_missed(guard: Guard) -> bool:
    """Whether a test fails without it."""
    test = _failing_test(without=guard)
    _say(guard, test or "NO TEST FAILS WITHOUT IT")
    return test is not None


def _failing_test(without: Guard | None = None) -> str | None:
    """The first test that fails, with all guards or without one."""
    plugin = ["-p", "tests.protocol.mutant"] if without else []
    environment = os.environ | ({"WITHOUT_GUARD": str(without)} if without else {})
    ended = subprocess.run(
        [*PYTEST, *plugin, *STEPS, "tests/protocol"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) \S*?::(.+?)(?: - |$)", ended.stdout, re.MULTILINE)
    if failed is None:
        sys.exit(f"no test failed, but pytest ended with {ended.returncode}:\n{ended.stdout}")
    return failed[1]


def _say(*what: object) -> None:
    print(*what, sep="\n    ", flush=True)  # noqa: T201 - a script's answer


if __name__ == "__main__":
    main()

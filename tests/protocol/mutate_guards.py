"""Takes each guard out of the SQL of the steps, one at a time, and runs the tests of its step.

A guard that no test misses needs a test, or is needless: exits 1 where there is one. Arguments are
names of steps; without any, all are tried.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.protocol.guards import Guard, guards

ENGINE = Path("tests/integration/engine")
TESTS = [
    *sorted(map(str, ENGINE.glob("test_transitions_*.py"))),
    str(ENGINE / "test_plans.py"),
    "tests/protocol",
]
HARMLESS = {
    ("ADMIT", "event.keys IS NOT NULL"): "what the index says; it follows from the next ones",
    ("ADMIT_FIRST", "earlier.position IS NOT NULL"): "as ADMIT",
    ("CANCEL_MEMBERS", "batch_id IS NOT NULL"): "all of these jobs are members",
    ("LOCK_MESSAGES", "ORDER BY due.position"): "the window is in this order, if not by promise",
    (
        "QUEUES_IN_USE",
        "keys IS NULL",
    ): "the same rows, though by no index",
    ("QUEUES_IN_USE", "keys IS NOT NULL"): "as before",
    ("SCAN_KEYS", "event.keys IS NOT NULL"): "as ADMIT, where the whole keys are compared",
    ("SUBMIT_MEMBERS", "(SELECT count(*) FROM allowed) >= 0"): (
        "Postgres takes the locks first, but does not promise it"
    ),
}
"""Guards that may go unnoticed, and why no job or message depends on them."""
PYTEST = [sys.executable, "-m", "pytest", "-x", "--tb=no"]


def main() -> None:
    """Try the guards and say what became of each."""
    uses = _uses()
    tried = [guard for guard in guards() if not sys.argv[1:] or guard.step in sys.argv[1:]]
    survivors = [guard for guard in tried if not _is_missed(guard, uses.get(guard.step, []))]
    survivors = [guard for guard in survivors if (guard.step, guard.text) not in HARMLESS]
    _say(f"of {len(tried)} guards {len(survivors)} could go unnoticed", *survivors)
    sys.exit(bool(survivors))


def _uses() -> dict[str, list[str]]:
    """The tests that execute each step. All of them are run, with all guards."""
    with TemporaryDirectory() as folder:
        uses = Path(folder) / "uses"
        if test := _failing_test(TESTS, "uses", USES_OF_STEPS=str(uses)):
            sys.exit(f"{test} fails even with all guards")
        found: dict[str, list[str]] = json.loads(uses.read_text(encoding="utf-8"))
        return found


def _is_missed(guard: Guard, tests: Sequence[str]) -> bool:
    """Whether one of these tests fails without it."""
    test = _failing_test(tests, "mutant", WITHOUT_GUARD=str(guard)) if tests else None
    _say(guard, test or "NO TEST FAILS WITHOUT IT")
    return test is not None


def _failing_test(tests: Sequence[str], plugin: str, **environment: str) -> str | None:
    """The first test that fails."""
    ended = subprocess.run(
        [*PYTEST, "-p", f"tests.protocol.{plugin}", *tests],
        env=os.environ | environment,
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

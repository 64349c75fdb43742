"""Runs all checks. One that fails, or takes long, hides no other."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import wait
from functools import partial
from itertools import chain

from sqlalchemy.exc import DBAPIError

from outbox.doctor.catalog import CHECKS
from outbox.doctor.check import Check, Group
from outbox.doctor.found import Finding, Found, Level, Skip, error
from outbox.doctor.passwords import without_secrets
from outbox.doctor.setup import Setup
from outbox.doctor.timed import start

NO_RIGHT = "42501"
NO_TABLE = ("42P01", "3F000", "42703")


def examine(setup: Setup) -> list[Finding]:
    """What the library's checks find, and then the app's own; one finding for each.

    Takes at most as long as the slowest group: what each of its checks may take. Raises nothing
    that a check raises. Changes nothing on any server.
    """
    return examine_with((*CHECKS, *setup.checks), setup)


def examine_with(checks: Iterable[Check], setup: Setup) -> list[Finding]:
    """The same with these checks alone."""
    groups: dict[Group, list[Check]] = {}
    for each in checks:
        groups.setdefault(each.group, []).append(each)
    running = [start(partial(_group, setup, checks)) for checks in groups.values()]
    return [*chain.from_iterable(each.result() for each in running)]


def _group(setup: Setup, checks: Sequence[Check]) -> list[Finding]:
    return [*_findings(setup, checks)]


def _findings(setup: Setup, checks: Sequence[Check]) -> Iterator[Finding]:
    closed: Found | None = None
    for each in checks:
        found = closed or _look(setup, each)
        yield _finding(setup, each, found)
        if each.is_gate and not closed:
            closed = _closed(each, found)


def _closed(gate: Check, found: Found) -> Found | None:
    """What the rest of the group finds, if this gate is closed: the same reason, or its name."""
    if found.level is Level.SKIPPED:
        return found
    return Found(Level.SKIPPED, f"see {gate.name}") if found.level is Level.ERROR else None


def _look(setup: Setup, check: Check) -> Found:
    answer = start(partial(check.look, setup))
    if not wait([answer], check.seconds).done:
        what = f"it did not end within {check.seconds:g} s"
        return error(what, "look whether the server answers")
    try:
        return answer.result()
    except Skip as why:
        return Found(Level.SKIPPED, str(why))
    except DBAPIError as problem:
        return _refused(problem)
    except Exception as problem:  # noqa: BLE001 - whatever a check raises is what it found
        text = str(problem).strip() or type(problem).__name__
        return error(text, "see the page")


def _refused(problem: DBAPIError) -> Found:
    """What Postgres refused. Another check tells of missing rights and tables."""
    line = str(problem.orig).strip().partition("\n")[0]
    state = getattr(problem.orig, "sqlstate", None)
    if state == NO_RIGHT:
        return Found(Level.SKIPPED, f"the role may not look: {line}")
    if state in NO_TABLE:
        return Found(Level.SKIPPED, f"tables are missing, see migrations: {line}")
    return error(f"Postgres refused: {line}", "see the page")


def _finding(setup: Setup, check: Check, found: Found) -> Finding:
    shown = partial(without_secrets, setup.settings)
    change = None if found.change is None else shown(found.change)
    return Finding(check.name, found.level, shown(found.found), change, check.docs)

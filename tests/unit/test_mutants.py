"""`make mutants` knows each statement of the store."""

import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from outbox import store
from tests.protocol.guards import guards

SQL = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE|CREATE|DO)\b")
WITHOUT_GUARDS = {
    "SUBMIT": "inserts what it is given",
    "SUBMIT_ALL": "inserts what it is given",
    "PUBLISH": "inserts what it is given",
    "KEEP_FOREIGN": "inserts what it is given",
    "READ_HEARTBEATS": "reads all there are",
    "READ_LIMITS": "reads all there are",
    "CLAIM_LIMITED": "CLAIM, with its guards",
    "CLAIM_UNIQUE_LIMITED": "CLAIM_UNIQUE, with its guards",
    "ADVANCE_SEQUENCES": "repairs a table, and moves no job: see test_worker_records.py",
    "REFUSE": "a function of the schema, which only raises",
    "APPEND_ONLY": "triggers of the schema, which refuse all that they see: see test_acts.py",
}


def statements() -> Iterator[str]:
    """The names of all that the store's modules hold, but parts of statements."""
    for module in walk_packages(store.__path__, f"{store.__name__}."):
        for name, value in vars(import_module(module.name)).items():
            if name.isupper() and name[0] != "_" and isinstance(value, str) and SQL.match(value):
                yield name


def test_each_statement_has_a_guard_to_take_away_or_a_reason_why_not() -> None:
    with_guards = {guard.step for guard in guards()}
    assert set(statements()) - with_guards == WITHOUT_GUARDS.keys()
    assert with_guards <= set(statements())

import subprocess
import sys

from actors import ACTORS
from service.base import Base
from service.subjects import KINDS, OPEN_TO_CLIENTS, SUBJECTS


def test_each_kind_has_exactly_one_actor() -> None:
    assert {name: actor.kind for name, actor in ACTORS.items()} == dict(KINDS)


def test_open_kinds_are_kinds_of_their_subject() -> None:
    assert [each for each in SUBJECTS if not each.open_kinds.items() <= each.kinds.items()] == []
    assert OPEN_TO_CLIENTS.items() <= KINDS.items()


def test_each_kind_says_who_mends_it_and_why_it_may_run_twice() -> None:
    assert [name for name, kind in KINDS.items() if not (kind.owner and kind.idempotency)] == []


def test_each_table_belongs_to_a_subject() -> None:
    named = [model.__tablename__ for each in SUBJECTS for model in each.models]
    assert sorted(named) == sorted(table.name for table in Base.metadata.sorted_tables)


def imported(by: str) -> set[str]:
    """The modules that a process has imported which imports `by`."""
    code = f"import sys, {by}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_the_api_imports_no_actors() -> None:
    modules = imported("service.app")
    assert "service.invoices.subject" in modules
    assert not {name for name in modules if name.partition(".")[0] == "actors"}


def test_a_worker_imports_no_routes() -> None:
    modules = imported("service.jobs, actors")
    assert "actors.invoices" in modules
    assert not modules & {each.routes for each in SUBJECTS}


def test_a_worker_that_draws_nothing_does_not_hold_what_drawing_needs_in_memory() -> None:
    assert not imported("service.jobs, actors") & {"typst", "matplotlib"}

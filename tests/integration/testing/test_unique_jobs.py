"""Jobs of unique kinds in an app's tests."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import submit, submit_all
from outbox.testing import drain, run, submitted
from tests.support.service.unique_app import SYNC, Customer, sync


def test_run_runs_its_job_whoever_holds_the_key(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        held = submit(session, SYNC(customer_id=1))
    assert run(sync, Customer(customer_id=1, note="own"), engine) == {"note": "own"}
    with Session(engine) as session, session.begin():
        assert len(submit_all(session, [SYNC(customer_id=1)])) == 1
        assert [job.kind for job in submitted(session)] == [SYNC.name]
    assert [job.id for job in drain([sync], engine)] == [held.id]


def test_drain_gives_the_key_back(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        first, again = submit_all(session, [SYNC(customer_id=1), SYNC(customer_id=1)])
    (ran,) = drain([sync], engine)
    assert (ran.id, ran.state, again.id) == (first.id, "succeeded", first.id)
    with Session(engine) as session, session.begin():
        later = submit(session, SYNC(customer_id=1), run_at=datetime.now(UTC) + timedelta(days=1))
    assert not later.is_duplicate
    (ran,) = drain([sync], engine, until=datetime.now(UTC) + timedelta(days=2))
    assert (ran.id, ran.state) == (later.id, "succeeded")

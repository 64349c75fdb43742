"""The sweep deletes what nothing needs any more, and nothing else."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from actors import ACTORS
from outbox import Job, submit
from outbox.operations import dead_letters
from outbox.testing.admission import ADMIT_ALONE
from service.documents.store import DocumentMissing, documents
from service.files import sweeping
from service.files.keeping import FileIsGoing, FileMissing, find, keep, release, reserve, use
from service.files.kinds import SWEEP_FILES, SweepFiles
from service.files.models import File
from service.files.references import kinds_with_files
from service.images.kinds import PROCESS_IMAGE
from service.subjects import KINDS
from tests.integration.actors.conftest import Claim, Configure
from tests.support.service.lives import claim as claim_job
from tests.support.service.lives import die

sweep = ACTORS["files.sweep"].function
BRIEF, LONG = timedelta(), timedelta(hours=1)


def kept(session: Session, lifetime: timedelta | None, used_by: str | None = None) -> UUID:
    """A file whose bytes are stored."""
    name = f"files/{uuid4()}"
    documents().put(name, b"content")
    options = {"size": 7, "media_type": "text/plain", "expires_in": lifetime, "used_by": used_by}
    file = keep(session, name, **options)  # type: ignore[arg-type]
    session.commit()
    return file.id


def left(session: Session, claim: Claim) -> set[UUID]:
    """The files that a sweep leaves, each with its bytes; those that went have none."""
    before = {file.id: file.name for file in session.query(File).all()}
    sweep(SweepFiles(), claim(SWEEP_FILES()))
    session.rollback()
    files = {file.id for file in session.query(File).all()}
    for id_, name in before.items():
        if id_ in files:
            assert documents().get(name) == b"content"
        else:
            with pytest.raises(DocumentMissing):
                documents().get(name)
    return files


def test_a_file_goes_when_its_lifetime_is_over(claim: Claim, session: Session) -> None:
    over, lasting, for_ever = (kept(session, each) for each in (BRIEF, LONG, None))
    assert left(session, claim) == {lasting, for_ever}
    with pytest.raises(FileMissing):
        find(session, over)


def test_a_file_stays_while_a_business_row_uses_it(claim: Claim, session: Session) -> None:
    file = kept(session, BRIEF, "report:1")
    use(session, file, "mail:2")
    session.commit()
    assert left(session, claim) == {file}
    release(session, "report:1")
    session.commit()
    assert left(session, claim) == {file}
    release(session, "mail:2")
    session.commit()
    assert left(session, claim) == set()


def test_a_file_stays_while_a_job_that_refers_to_it_may_run(
    claim: Claim, session: Session, sql_now: psycopg.Connection
) -> None:
    queued, running, dead, done = (kept(session, BRIEF) for _ in range(4))
    jobs = {}
    for file in (queued, running, dead, done):
        jobs[file] = submit(session, PROCESS_IMAGE(image_id=uuid4(), file_id=file)).id
    session.commit()
    run = partial(claim_job, sql_now, kind="image.process")
    for file in (running, dead):
        sql_now.execute(ADMIT_ALONE, {"id": jobs[file]})
    run(str(jobs[running]))
    letter = die(sql_now, run(str(jobs[dead])))
    sql_now.execute("UPDATE duly.jobs SET state = 'succeeded' WHERE id = %s", [jobs[done]])
    assert left(session, claim) == {queued, running, dead}
    dead_letters.discard(session, [letter], by="ada", why="no use")
    session.commit()
    assert left(session, claim) == {queued, running}


def test_only_kinds_that_can_refer_to_files_are_looked_through() -> None:
    assert "image.process" in kinds_with_files(KINDS.values())
    assert "invoice.render" not in kinds_with_files(KINDS.values())


def test_what_an_upload_left_goes_after_a_day(
    claim: Claim, session: Session, sql_now: psycopg.Connection
) -> None:
    old, young = reserve(session), reserve(session)
    session.commit()
    for file in (old, young):
        documents().put(file.name, b"content")
    sql_now.execute(
        "UPDATE files SET created_at = now() - interval '25 hours' WHERE id = %s", [old.id]
    )
    young_id = young.id
    assert left(session, claim) == {young_id}


def test_a_sweep_that_died_is_gone_on_with(
    claim: Claim, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {kept(session, BRIEF) for _ in range(3)}
    with monkeypatch.context() as broken:
        broken.setattr(sweeping, "forget", _die)
        with pytest.raises(KeyboardInterrupt):
            sweep(SweepFiles(), claim(SWEEP_FILES()))
    for file in files:
        with pytest.raises(FileMissing):
            find(session, file)
    assert left(session, claim) == set()


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_use_that_comes_at_the_same_time_wins_or_is_refused(
    claim: Claim, session: Session, engine: Engine
) -> None:
    file = kept(session, BRIEF)
    with Session(engine) as other:
        use(other, file, "report:1")
        sweep(SweepFiles(), claim(SWEEP_FILES()))  # passes by what somebody holds
        other.commit()
    assert left(session, claim) == {file}
    release(session, "report:1")
    session.commit()
    with Session(engine) as other:
        assert sweeping.let_go(other, sweeping.expired(other, None), []) == {file}
        other.commit()
        with pytest.raises(FileMissing):
            use(session, file, "report:2")


def test_the_name_of_a_file_that_goes_is_not_taken(configure: Configure, session: Session) -> None:
    name = "reports/1.csv"
    keep(session, name, size=1, media_type="text/csv", expires_in=BRIEF)
    session.commit()
    sweeping.let_go(session, sweeping.expired(session, None), [])
    session.commit()
    with pytest.raises(FileIsGoing):
        reserve(session, name=name)
    going = sweeping.going(session)
    assert going is not None
    sweeping.forget(session, going)
    assert reserve(session, name=name).state == "storing"


def test_a_document_that_is_stored_anew_is_not_deleted_as_the_old_one(
    claim: Claim, session: Session
) -> None:
    file_id = kept(session, BRIEF)
    name = find(session, file_id).name
    assert reserve(session, name=name).state == "stored"
    session.commit()
    documents().put(name, b"content")
    assert left(session, claim) == {file_id}
    keep(session, name, size=7, media_type="text/plain", expires_in=BRIEF)
    session.commit()
    assert left(session, claim) == set()


def test_a_slow_sweep_deletes_nothing_that_was_stored_by_the_same_name_meanwhile(
    claim: Claim, session: Session, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = find(session, kept(session, BRIEF)).name
    session.rollback()
    store, slow, second = documents(), claim(SWEEP_FILES()), claim(SWEEP_FILES())
    delete = store.delete
    others: list[Future[None]] = []

    def store_anew() -> None:
        sweep(SweepFiles(), second)
        with Session(engine) as other:
            reserve(other, name=name)
            other.commit()
            store.put(name, b"new")
            keep(other, name, size=3, media_type="text/plain", expires_in=LONG)
            other.commit()

    def delete_slowly(name: str) -> None:
        if not others:
            others.append(threads.submit(store_anew))
            wait(others, timeout=2)
        delete(name)

    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(store, "delete", delete_slowly)
        sweep(SweepFiles(), slow)
        others[0].result(30)
    assert store.get(name) == b"new"


def test_a_second_attempt_keeps_the_same_file(configure: Configure, session: Session) -> None:
    name = "reports/1.csv"
    first = reserve(session, name=name).id
    assert reserve(session, name=name).id == first
    assert keep(session, name, size=1, media_type="text/csv").id == first
    assert reserve(session, name=name).state == "stored"
    assert keep(session, name, size=2, media_type="text/csv", used_by="report:1").size == 2
    assert keep(session, name, size=2, media_type="text/csv", used_by="report:1").id == first


def test_a_file_is_there_with_the_jobs_effect_or_not_at_all(claim: Claim, session: Session) -> None:
    with pytest.raises(ZeroDivisionError):
        _keep_and_fail(claim(SWEEP_FILES()))
    assert session.query(File).all() == []


def _keep_and_fail(job: Job) -> None:
    with job.transaction() as tx:
        keep(tx, "files/x", size=1, media_type="text/csv")
        raise ZeroDivisionError

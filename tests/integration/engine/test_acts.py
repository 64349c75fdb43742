"""The record of acts: what a person did is on record once it is done, and stays as it was."""

from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox.operations import acts, dead_letters, jobs
from outbox.operations.acts import ActFilter
from outbox.store import transitions
from tests.support.engine.by_hand import ByHand

CHANGES = ["UPDATE duly.acts SET who = 'bob'", "DELETE FROM duly.acts", "TRUNCATE duly.acts"]
NOBODY = ["", " ", "\t\n", "\u200b", "\0"]


def recorded(session: Session, thing: str) -> list[tuple[str, str, str | None]]:
    """What was done to the thing, by whom and why, the first first."""
    found = acts.find(session, ActFilter(about=thing))
    return [(act.act, act.who, act.why) for act in reversed(found)]


@pytest.mark.parametrize(
    ("step", "act"), [(transitions.REPLAY, "replay"), (transitions.DISCARD, "discard")]
)
def test_a_closed_letter_has_who_and_why_on_record(
    by_hand: ByHand, session: Session, step: str, act: str
) -> None:
    job, letter = by_hand.dead()
    by_hand.close(step, letter)
    assert recorded(session, f"dead-letter:{letter}") == [(act, "ann", "mended")]
    assert recorded(session, f"job:{job}") == [(act, "ann", "mended")]


def test_an_act_on_many_letters_is_one_row_that_names_all_it_closed(
    by_hand: ByHand, session: Session
) -> None:
    dead = [by_hand.dead() for _ in range(3)]
    by_hand.close(transitions.DISCARD, dead[0][1])
    by_hand.close(transitions.REPLAY, *(letter for _, letter in dead))
    (act,) = acts.find(session, ActFilter(about=f"dead-letter:{dead[1][1]}"))
    closed = [f"dead-letter:{letter}" for _, letter in dead[1:]]
    assert sorted(act.about) == sorted(closed + [f"job:{job}" for job, _ in dead[1:]])
    assert acts.get(session, act.id) == act


def test_a_letter_of_no_job_is_on_record_alone(by_hand: ByHand, session: Session) -> None:
    letter = by_hand.keep_foreign(b"?")
    by_hand.close(transitions.DISCARD, letter)
    (act,) = acts.find(session, ActFilter(about=f"dead-letter:{letter}"))
    assert act.about == [f"dead-letter:{letter}"]


def test_a_cancellation_is_on_record_also_of_a_job_that_runs(
    by_hand: ByHand, session: Session
) -> None:
    for job in (by_hand.submit(), by_hand.running()):
        by_hand.cancel(job)
        assert recorded(session, f"job:{job}") == [("cancel", "ann", "mended")]


def test_what_was_not_done_is_not_on_record(by_hand: ByHand, session: Session) -> None:
    job, letter = by_hand.dead()
    by_hand.close(transitions.DISCARD, letter)
    (last, *_) = acts.find(session, ActFilter())
    by_hand.close(transitions.REPLAY, letter)
    by_hand.close(transitions.DISCARD, letter)
    by_hand.cancel(job)
    by_hand.cancel(uuid4())
    assert acts.find(session, ActFilter(), limit=1) == [last]


def test_what_was_rolled_back_is_not_on_record(by_hand: ByHand, session: Session) -> None:
    job = by_hand.submit()
    jobs.cancel(session, job, by="ann")
    session.rollback()
    assert recorded(session, f"job:{job}") == []


@pytest.mark.parametrize("who", NOBODY)
def test_nobody_can_do_nothing(by_hand: ByHand, session: Session, who: str) -> None:
    dead, letter = by_hand.dead()
    queued = by_hand.submit()
    before = by_hand.everything()
    with pytest.raises(ValueError, match="must have a name"):
        dead_letters.replay(session, [letter], by=who)
    with pytest.raises(ValueError, match="must have a name"):
        dead_letters.discard(session, [letter], by=who)
    with pytest.raises(ValueError, match="must have a name"):
        jobs.cancel(session, queued, by=who)
    with pytest.raises(ValueError, match="must have a name"):
        acts.record(session, "look", [f"job:{dead}"], who=who)
    session.commit()
    assert by_hand.everything() == before


def test_postgres_itself_keeps_nobody_out_of_the_record(by_hand: ByHand) -> None:
    for step in (transitions.REPLAY, transitions.DISCARD):
        _, letter = by_hand.dead()
        with pytest.raises(psycopg.errors.CheckViolation, match="acts_who"):
            by_hand.take(step, ids=[letter], by=" ", why=None)


@pytest.mark.parametrize("change", CHANGES)
def test_the_record_refuses_to_be_changed_even_by_its_owner(by_hand: ByHand, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        by_hand.take(change)


def test_filters_find_what_they_name(session: Session) -> None:
    thing = f"job:{uuid4()}"
    first = acts.record(session, "look", [thing], who="ann", why="")
    second = acts.record(session, "sign", [thing, "job:other"], who=f"bob {thing}", why="asked")
    session.commit()

    def found(**filters: object) -> list[int]:
        wanted = ActFilter(**{"about": thing} | filters)  # type: ignore[arg-type]
        return [act.id for act in acts.find(session, wanted)]

    (at,) = [act.at for act in acts.find(session, ActFilter(about="job:other"), limit=1)]
    assert found() == [second, first]
    assert found(act="look") == found(who="ann") == [first]
    assert found(who=f"bob {thing}") == [second]
    assert found(since=at) == [second, first]
    assert found(until=at) == []
    assert [act.id for act in acts.find(session, ActFilter(about=thing), before=second)] == [first]
    assert recorded(session, thing) == [("look", "ann", None), ("sign", f"bob {thing}", "asked")]


def test_a_list_names_the_first_things_of_each_act_and_how_many_there_are(
    session: Session,
) -> None:
    things = [f"job:{UUID(int=n)}" for n in range(1000)]
    act_id = acts.record(session, "look", things, who="ann")
    (listed,) = acts.find(session, ActFilter(), limit=1)
    shown = acts.get(session, act_id)
    assert shown
    assert (listed.id, listed.about, listed.things) == (act_id, things[:10], 1000)
    assert (shown.about, shown.things) == (things, 1000)
    assert acts.get(session, act_id + 1) is None

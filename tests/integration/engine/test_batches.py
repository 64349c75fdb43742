"""Batches on the whole line: members, callbacks, generations."""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, batch, submit
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.wait import wait_for


def test_when_all_members_have_succeeded_the_callbacks_run_once(
    line: Line, engine: Engine, by_hand: ByHand, queue: str
) -> None:
    kind, then = note_kind(queue), note_kind(queue, "test.then")

    def do(note: Note, job: Job) -> None:
        if note.text == "tx":
            with job.transaction():
                pass

    line.start_relay(queue)
    line.start_worker(Actor(kind, do), Actor(then, do_nothing))
    won, over = then(text="won"), then(text="over")
    with (
        Session(engine) as session,
        session.begin(),
        batch(session, on_success=won, on_settled=over) as group,
    ):
        for text in ("tx", "", ""):
            submit(session, kind(text=text))

    def callbacks() -> list[Any]:
        return by_hand.take(
            "SELECT payload->>'text' AS text, subject, state FROM duly.jobs"
            " WHERE kind = 'test.then' AND state = 'succeeded' ORDER BY 1"
        )

    wait_for("both callbacks", lambda: len(callbacks()) == 2)
    assert [row["text"] for row in callbacks()] == ["over", "won"]
    assert {row["subject"] for row in callbacks()} == {f"batch:{group.id}"}

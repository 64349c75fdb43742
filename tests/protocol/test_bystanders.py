"""A step for one job leaves all others alone, also those of the same dispatch and attempt."""

from collections.abc import Callable
from uuid import UUID

import pytest

from outbox.store import transitions
from tests.protocol.parts import Message, collect
from tests.support.engine.by_hand import ByHand, Row


def _expiring(hand: ByHand) -> UUID:
    return hand.submit(expires_at="yesterday")


def _published(hand: ByHand) -> UUID:
    job = hand.submit()
    hand.publish(job)
    return job


def _dead(hand: ByHand) -> UUID:
    return hand.dead()[0]


def _asked(hand: ByHand) -> UUID:
    job = hand.running()
    hand.cancel(job)
    return job


def _close(step: str) -> Callable[[ByHand, UUID], object]:
    return lambda hand, job: hand.close(step, hand.letters(job)[0]["id"])


def _collect(step: str) -> Callable[[ByHand, UUID], object]:
    return lambda hand, job: collect(hand, Message(job, 1), step)


def _defer(hand: ByHand, job: UUID) -> None:
    hand.take(transitions.DEFER_EVENTS, job_id=[job], dispatch=[1])


STEPS: dict[str, tuple[Callable[[ByHand], UUID], Callable[[ByHand, UUID], object]]] = {
    "publish": (ByHand.submit, ByHand.publish),
    "defer": (ByHand.submit, _defer),
    "bury": (ByHand.submit, ByHand.bury),
    "put off": (ByHand.submit, ByHand.put_off),
    "claim": (ByHand.submit, ByHand.claim),
    "cancel": (ByHand.submit, ByHand.cancel),
    "reschedule": (ByHand.submit, ByHand.reschedule),
    "expire": (_expiring, ByHand.expire),
    "succeed": (ByHand.running, ByHand.succeed),
    "retry": (ByHand.running, ByHand.retry),
    "snooze": (ByHand.running, ByHand.snooze),
    "die": (ByHand.running, ByHand.die),
    "step": (ByHand.running, ByHand.step),
    "progress": (ByHand.running, ByHand.say_progress),
    "stop": (_asked, ByHand.stop),
    "replay": (_dead, _close(transitions.REPLAY)),
    "discard": (_dead, _close(transitions.DISCARD)),
    "attach": (_dead, _collect(transitions.ATTACH_MESSAGE)),
    "redispatch": (_published, _collect(transitions.REDISPATCH)),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_leaves_other_jobs_alone(hands: list[ByHand], step: str) -> None:
    hand = hands[0]
    prepare, take = STEPS[step]
    job, bystander = prepare(hand), prepare(hand)
    mine, others = _rows(hand, job), _rows(hand, bystander)
    take(hand, job)
    assert _rows(hand, job) != mine
    assert _rows(hand, bystander) == others


def _rows(hand: ByHand, job: UUID) -> tuple[Row, Row | None, list[Row], list[Row]]:
    return hand.job(job), hand.event(job), hand.attempts(job), hand.letters(job)

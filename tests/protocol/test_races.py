"""The steps at really the same time, on the same few jobs."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import UUID

from tests.protocol.drain import drain
from tests.protocol.facts import Facts, look
from tests.protocol.invariants import check
from tests.protocol.oracle import Hold, Oracle
from tests.protocol.racer import Racer, Shared
from tests.protocol.stage import Stage
from tests.support.engine.by_hand import ByHand

RACES = 10
STEPS_OF_EACH = 100


def test_no_race_of_the_steps_breaks_a_promise(stage: Stage, hands: list[ByHand]) -> None:
    for seed in range(RACES):
        stage.clear()
        shared = Shared()
        _race([Racer(hand, shared, Random(f"{seed}.{n}")) for n, hand in enumerate(hands)])

        _nobody_was_told_what_another_was_told(shared)
        facts = _checked(stage)
        assert set(facts) == set(shared.jobs)
        drain(stage, _oracle_of(facts))
        assert all(job.has_ended for job in _checked(stage).values())


def _race(racers: list[Racer]) -> None:
    with ThreadPoolExecutor(len(racers)) as threads:
        for done in [threads.submit(racer.run, STEPS_OF_EACH) for racer in racers]:
            done.result()


def _nobody_was_told_what_another_was_told(shared: Shared) -> None:
    for told in (shared.claims, shared.ends):
        attempts = Counter(hold[:3] for hold in told)
        assert [attempt for attempt, times in attempts.items() if times > 1] == []


def _oracle_of(facts: dict[UUID, Facts]) -> Oracle:
    oracle = Oracle()
    for job in facts.values():
        if job.state == "running":
            oracle.claimed(Hold(job.id, job.dispatch, job.attempt, job.worker or ""))
    return oracle


def _checked(stage: Stage) -> dict[UUID, Facts]:
    facts = look(stage.anyone.connection)
    for job in facts.values():
        check(job)
    return facts

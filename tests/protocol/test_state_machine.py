"""The steps in every order that a broker, crashes, zombies and people can put them in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outbox.kinds import Priority
from outbox.operations import dead_letters, jobs
from outbox.operations.reschedule import reschedule
from outbox.store import transitions
from tests.protocol.clock import an_hour_passes
from tests.protocol.drain import drain
from tests.protocol.facts import look
from tests.protocol.invariants import check, check_step
from tests.protocol.oracle import Hold, Oracle
from tests.protocol.parts import (
    ENDS,
    Actor,
    Message,
    Relay,
    claim,
    collect,
    end,
    find_lost,
    refuse,
)
from tests.protocol.stage import Stage, unless_locked

T = TypeVar("T")

nth = st.integers(0, 11)
workers = st.sampled_from(["w1", "w2", "w3"])


def test_no_order_of_the_steps_breaks_a_promise(stage: Stage) -> None:
    Protocol.stage = stage
    thorough = settings(max_examples=60, stateful_step_count=40)
    run_state_machine_as_test(Protocol, settings=thorough)


class Protocol(RuleBasedStateMachine):
    """One of everybody's steps after the other; a crash is a step that does not come.

    The broker is a bag: messages leave it in any order, may stay although they were delivered, and
    may vanish. Holds are never forgotten, so that workers finish late, twice, and after others.
    """

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.clear()
        self.hand = self.stage.anyone
        self.relays = [Relay(hand) for hand in self.stage.relays]
        self.actors = [Actor(hand) for hand in self.stage.actors]
        self.oracle = Oracle()
        self.bag: list[Message] = []
        self.holds: list[Hold] = []
        self.facts = look(self.hand.connection)

    @initialize(count=st.integers(1, 4))
    def some_jobs_are_on_their_way(self, count: int) -> None:
        self.oracle.accepted.update(self.hand.submit() for _ in range(count))
        self.relays[0].lock(count)
        self.bag += self.relays[0].publish(count)
        self.relays[0].commit()

    @rule(priority=st.integers(0, 2), budget=st.integers(1, 3), commits=st.booleans())
    def submit(self, priority: int, budget: int, commits: bool) -> None:
        self.hand.connection.execute("BEGIN")
        job = self.hand.submit(priority=priority, budget=budget)
        self.hand.connection.execute("COMMIT" if commits else "ROLLBACK")
        if commits:
            self.oracle.accepted.add(job)

    # Relays

    @precondition(lambda self: not all(relay.locked for relay in self.relays))
    @precondition(lambda self: any(job.event for job in self.facts.values()))
    @rule(room=st.integers(1, 5))
    def relay_locks(self, room: int) -> None:
        relay = next(relay for relay in self.relays if not relay.locked)
        relay.lock(room)
        assert not set(self.relays[0].locked) & set(self.relays[1].locked)

    @precondition(lambda self: any(relay.locked for relay in self.relays))
    @rule(n=nth, count=st.integers(0, 5), then=st.sampled_from(["commit", "die", "pause"]))
    def relay_publishes(self, n: int, count: int, then: str) -> None:
        relay = _pick([relay for relay in self.relays if relay.locked], n)
        self.bag += relay.publish(count)
        if then == "commit":
            relay.commit()
        elif then == "die":
            relay.die()

    @precondition(lambda self: self.oracle.holders)
    @rule()
    def relay_rescues(self) -> None:
        with unless_locked():
            for job in self.hand.rescue():
                self.oracle.rescued(job["id"])
            assert self.oracle.orphans() <= {
                actor.hold.job for actor in self.actors if actor.hold and actor.has_completed
            }

    # The broker, and the dead-letter queue that a message may have come to

    @precondition(lambda self: self.bag)
    @rule(n=nth, what=st.sampled_from(["is doubled", "is forged", "is lost", "all are lost"]))
    def broker_fails(self, n: int, what: str) -> None:
        message = _pick(self.bag, n)
        if what == "is doubled":
            self.bag.append(message)
        elif what == "is forged":
            self.bag.append(Message(message.job, message.dispatch + 1))
        elif what == "is lost":
            self.bag.remove(message)
        else:
            self.bag.clear()

    @precondition(lambda self: self.bag)
    @rule(n=nth, step=st.sampled_from(["ATTACH_MESSAGE", "REDISPATCH"]))
    def collector_collects(self, n: int, step: str) -> None:
        with unless_locked():
            collect(self.hand, _pick(self.bag, n), getattr(transitions, step))

    # Workers

    @precondition(lambda self: self.bag)
    @rule(n=nth)
    def worker_refuses(self, n: int) -> None:
        with unless_locked():
            refuse(self.hand, _pick(self.bag, n))

    @precondition(lambda self: self.bag)
    @rule(n=nth, worker=workers, beats=st.booleans(), hears=st.booleans(), stays=st.booleans())
    def worker_claims(self, n: int, worker: str, beats: bool, hears: bool, stays: bool) -> None:
        message = _pick(self.bag, n)
        if beats:
            self.hand.beat(worker)
            self.oracle.alive.add(worker)
        with unless_locked():
            hold = claim(self.hand, message, worker)
            if hold:
                self.oracle.claimed(hold)
                self.holds += [hold] * hears
            if not stays:
                self.bag.remove(message)

    @precondition(lambda self: self.holds)
    @rule(n=nth, step=st.sampled_from(ENDS), delay=st.sampled_from([0, 60]))
    def worker_ends_an_attempt(self, n: int, step: str, delay: int) -> None:
        hold = _pick(self.holds, n)
        with unless_locked():
            self.oracle.answered(hold, taken=end(self.hand, hold, step, delay))

    @precondition(lambda self: self.holds and not all(actor.hold for actor in self.actors))
    @rule(n=nth, follow_ups=st.integers(0, 2))
    def actor_acts(self, n: int, follow_ups: int) -> None:
        actor = next(actor for actor in self.actors if not actor.hold)
        actor.act(_pick(self.holds, n), follow_ups)

    @precondition(lambda self: any(actor.hold for actor in self.actors))
    @rule(n=nth, then=st.sampled_from(["commit", "die", "pause"]))
    def actor_completes(self, n: int, then: str) -> None:
        actor = _pick([actor for actor in self.actors if actor.hold], n)
        assert actor.hold
        with unless_locked():
            assert actor.has_completed or actor.complete() == self.oracle.may_end(actor.hold)
        if then == "die" or not actor.has_completed:
            actor.die()
        elif then == "commit":
            self.oracle.answered(actor.hold, taken=True)
            self.oracle.accepted.update(actor.commit())

    @precondition(lambda self: self.oracle.alive)
    @rule(worker=workers)
    def worker_leaves(self, worker: str) -> None:
        self.hand.take(transitions.DEREGISTER_WORKER, name=worker)
        self.oracle.alive.discard(worker)

    # People

    @precondition(lambda self: self.facts)
    @rule(n=nth)
    def person_cancels(self, n: int) -> None:
        job = _pick(sorted(self.facts), n)
        with unless_locked(), self.stage.session() as session:
            jobs.cancel(session, job, by="ann")

    @precondition(lambda self: self.facts)
    @rule(n=nth, delay=st.sampled_from([None, 0, 60]), priority=st.sampled_from([None, 0, 2]))
    def person_reschedules(self, n: int, delay: int | None, priority: int | None) -> None:
        job = _pick(sorted(self.facts), n)
        at = None if delay is None else datetime.now(UTC) + timedelta(seconds=delay)
        level = None if priority is None else Priority(priority)
        with unless_locked(), self.stage.session() as session:
            reschedule(session, job, run_at=at, priority=level, by="ann")

    @precondition(lambda self: any(job.letters for job in self.facts.values()))
    @rule(letters=st.sets(nth), act=st.sampled_from(["replay", "discard"]))
    def person_closes_letters(self, letters: set[int], act: str) -> None:
        found = self.hand.take("SELECT id FROM duly.dead_letters ORDER BY id DESC")
        ids = [row["id"] for n, row in enumerate(found) if n in letters]
        with unless_locked(), self.stage.session() as session:
            getattr(dead_letters, act)(session, ids, by="ann", why="mended")

    @rule(beating=st.sets(workers), relays_look=st.booleans())
    def an_hour_passes(self, beating: set[str], relays_look: bool) -> None:
        with unless_locked():
            an_hour_passes(self.hand, beating)
            self.oracle.alive &= beating
            if relays_look:
                find_lost(self.hand, depth=len(self.bag))

    @invariant()
    def every_promise_holds(self) -> None:
        facts = look(self.hand.connection)
        assert set(facts) == self.oracle.accepted
        running = {job.id for job in facts.values() if job.state == "running"}
        assert running == set(self.oracle.holders)
        for job in facts.values():
            check(job)
            if job.id in self.facts:
                check_step(self.facts[job.id], job)
        self.facts = facts

    def teardown(self) -> None:
        drain(self.stage, self.oracle)
        self.every_promise_holds()
        assert [job for job in self.facts.values() if not job.has_ended] == []


def _pick(some: Sequence[T], n: int) -> T:
    """The nth last: what shrinks to 0 is the newest."""
    return some[-1 - n % len(some)]

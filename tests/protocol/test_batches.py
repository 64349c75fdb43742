"""Ends, replays, discards, additions, cancels and counts of batches in any order."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outbox.operations import batches as operations
from outbox.store import transitions
from tests.protocol.batch_model import ENDS, Model
from tests.protocol.stage import Stage
from tests.support.engine.batches import COUNTS, Batches

T = TypeVar("T")
nth = st.integers(0, 11)


def test_batches_are_counted_right_in_any_order(stage: Stage) -> None:
    Groups.stage = stage
    run_state_machine_as_test(Groups, settings=settings(max_examples=40, stateful_step_count=25))


class Groups(RuleBasedStateMachine):
    """Up to four batches, some in others. Counting is a step that may come at any time."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.clear()
        self.batches = Batches(self.stage._engine, self.stage.anyone)
        self.models: dict[UUID, Model] = {}
        self.members: dict[UUID, UUID] = {}
        self.states: dict[UUID, str] = {}
        """Of the members: an end, `queued` or `discarded`."""

    @initialize(members=st.integers(0, 2), seal=st.booleans())
    def one_is_in_another(self, members: int, seal: bool) -> None:
        self.make(members=members, seal=False, nested=False, n=0)
        self.make(members=2, seal=True, nested=True, n=0)
        if seal:
            self.seal(n=0)

    @precondition(lambda self: len(self.models) < 4)
    @rule(members=st.integers(0, 2), seal=st.booleans(), nested=st.booleans(), n=nth)
    def make(self, members: int, seal: bool, nested: bool, n: int) -> None:
        growing = self._growing()
        within = _pick(growing, n) if nested and growing else None
        group, jobs = self.batches.make(members, within=within, seal=seal)
        self.models[group] = Model(within, is_sealed=seal, changes=[{"members": members}])
        if within:
            self.models[within].changes.append({"members": 1})
        self._joined(group, jobs)

    @precondition(lambda self: self._growing())
    @rule(n=nth)
    def add(self, n: int) -> None:
        group = _pick(self._growing(), n)
        self._joined(group, [self.batches.add(group)])
        self.models[group].changes.append({"members": 1})

    @precondition(lambda self: self._growing())
    @rule(n=nth)
    def seal(self, n: int) -> None:
        group = _pick(self._growing(), n)
        self.batches.seal(group)
        self.models[group].is_sealed = True
        self.models[group].changes.append({})

    @precondition(lambda self: self._in("queued"))
    @rule(n=nth, how=st.sampled_from(ENDS))
    def end(self, n: int, how: str) -> None:
        job = _pick(self._in("queued"), n)
        self.batches.end(how, job)
        self._ended(job, how)

    @precondition(lambda self: self._in("queued") or self._growing())
    @rule(how=st.sampled_from(ENDS))
    def all_settle(self, how: str) -> None:
        for _ in self._growing():
            self.seal(n=0)
        for job in self._in("queued"):
            self.batches.end(how, job)
            self._ended(job, how)
        self.relay_counts()

    @precondition(lambda self: self._in("dead"))
    @rule(n=nth, then=st.sampled_from([None, *ENDS]))
    def replay(self, n: int, then: str | None) -> None:
        job = _pick(self._in("dead"), n)
        model = self.models[self.members[job]]
        (letter,) = (row for row in self.stage.anyone.letters(job) if row["closed_at"] is None)
        closed = self.stage.anyone.close(transitions.REPLAY, letter["id"])
        assert bool(closed) == (not self._is_in_cancelled(model))
        if closed:
            self.states[job] = "queued"
            model.changes.append({"dead": -1, "reopens": 1})
            if then:
                self.batches.end(then, job)
                self._ended(job, then)

    @precondition(lambda self: self._in("dead"))
    @rule(n=nth)
    def discard(self, n: int) -> None:
        job = _pick(self._in("dead"), n)
        self.batches.close(transitions.DISCARD, job)
        self.states[job] = "discarded"
        self.models[self.members[job]].changes.append({"dead": -1, "cancelled": 1})

    @precondition(lambda self: self.models)
    @rule(n=nth)
    def cancel(self, n: int) -> None:
        group = _pick([*self.models], n)
        model = self.models[group]
        with self.stage.session() as session:
            cancelled = operations.cancel(session, group, by="ann")
        assert cancelled == (model.outcome is None and not model.is_cancelled)
        if cancelled:
            self._cancelled(model)

    @rule()
    def relay_cancels(self) -> None:
        self.stage.anyone.take(transitions.CANCEL_MEMBERS)
        marked = [id_ for id_, m in self.models.items() if m.is_cancelled and m.outcome is None]
        for model in self.models.values():
            if model.parent in marked and model.outcome is None and not model.is_cancelled:
                self._cancelled(model)
        for job in self._in("queued"):
            if self.members[job] in marked:
                self._ended(job, "cancelled")

    @rule()
    def relay_counts(self) -> None:
        self.batches.fold()
        while changed := [model for model in self.models.values() if model.changes]:
            news = [(model.parent, model.fold()) for model in changed]
            for parent, told in news:
                if parent:
                    self.models[parent].changes.extend(told)
        for group, model in self.models.items():
            self._check(group, model)

    def teardown(self) -> None:
        """Count what is left."""
        self.relay_counts()

    def _check(self, group: UUID, model: Model) -> None:
        row = self.batches.row(group)
        assert self.batches.counts(group) == tuple(model.counts[name] for name in COUNTS)
        assert (row["generation"], row["outcome"]) == (model.generation, model.outcome)
        assert (row["settled_at"] is None) == (model.outcome is None)
        assert self.batches.callbacks(group) == sorted(model.callbacks)
        jobs = [self.states[job] for job, of in self.members.items() if of == group]
        inner = [m.outcome for m in self.models.values() if m.parent == group]
        assert model.counts["members"] == len(jobs) + len(inner)
        assert model.counts["dead"] == [*jobs, *inner].count("dead")

    def _is_in_cancelled(self, model: Model) -> bool:
        outer = self.models[model.parent] if model.parent else None
        return model.is_cancelled or (outer is not None and self._is_in_cancelled(outer))

    def _growing(self) -> list[UUID]:
        return [id_ for id_, m in self.models.items() if not (m.is_sealed or m.is_cancelled)]

    def _in(self, state: str) -> list[UUID]:
        return [job for job, found in self.states.items() if found == state]

    def _joined(self, group: UUID, jobs: Sequence[UUID]) -> None:
        self.members |= dict.fromkeys(jobs, group)
        self.states |= dict.fromkeys(jobs, "queued")

    def _ended(self, job: UUID, how: str) -> None:
        self.states[job] = how
        self.models[self.members[job]].changes.append({how: 1})

    def _cancelled(self, model: Model) -> None:
        model.is_cancelled = model.is_sealed = True
        model.changes.append({})


def _pick(some: Sequence[T], n: int) -> T:
    return some[n % len(some)]

"""What became of each dead letter that a command was to act on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.cli.errors import Code
from outbox.cli.terminal.output import print_message
from outbox.operations import batches, dead_letters
from outbox.operations.dead_letters import DeadLetter, DeadLetterFilter

SAMPLE = 10
UNKNOWN = "there is no such letter"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter: `replayed` or `discarded` by this command, or why it was not."""

    id: int
    job_id: UUID | None
    outcome: str
    closed_by: str | None = None
    """Who closed it: the person who runs this command, or somebody before."""


def why_not(db: Session, ids: Collection[int]) -> list[Outcome]:
    """Why each of these letters could not be acted on, judging from its state now."""
    if not ids:
        return []
    asked = DeadLetterFilter(ids=list(ids), open=None)
    there = {each.id: each for each in dead_letters.find(db, asked, limit=len(ids))}
    unknown = [Outcome(each, None, UNKNOWN) for each in ids if each not in there]
    return [*(_not_closable(db, letter) for letter in there.values()), *unknown]


def not_known(letters: Mapping[int, UUID | None]) -> list[Outcome]:
    """The outcomes of letters for which Postgres gave no answer: they may be closed or not."""
    return [Outcome(each, job_id, "not known") for each, job_id in letters.items()]


def code_if_none_closed(outcomes: Iterable[Outcome]) -> Code:
    """The exit code if no letter was acted on."""
    return Code.NOTHING if {each.outcome for each in outcomes} == {UNKNOWN} else Code.FAILED


def print_failures(outcomes: Iterable[Outcome], done: str) -> None:
    """Print which letters were not acted on: one line per reason, with some of the ids."""
    others: dict[str, list[int]] = {}
    for each in outcomes:
        if each.outcome != done:
            by = f" by {each.closed_by}" if each.closed_by else ""
            others.setdefault(f"{each.outcome}{by}", []).append(each.id)
    for why, ids in others.items():
        print_message(f"not {done}, {why}: {_sample(ids)}")


def _not_closable(db: Session, letter: DeadLetter) -> Outcome:
    if letter.closed_at is not None:
        outcome = f"{letter.resolution} before"
    elif not letter.may_be_replayed:
        outcome = "no job of ours: to discard, not to replay"
    elif letter.job_id and batches.is_cancelled(db, letter.job_id):
        outcome = "its batch was cancelled"
    else:
        outcome = "its job is not dead any more"
    return Outcome(letter.id, letter.job_id, outcome, letter.closed_by)


def _sample(ids: Collection[int]) -> str:
    more = f" and {len(ids) - SAMPLE} more" if len(ids) > SAMPLE else ""
    return ", ".join(map(str, islice(ids, SAMPLE))) + more

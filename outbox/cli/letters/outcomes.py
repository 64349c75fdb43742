"""What became of each dead letter that a command was to act on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.cli.errors import Code
from outbox.cli.terminal.output import talk
from outbox.operations import dead_letters
from outbox.operations.dead_letters import DeadLetter, DeadLetterFilter

SAMPLE = 10
UNKNOWN = "there is no such letter"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one letter. `outcome` is `replayed` or `discarded` where this command did it."""

    id: int
    job_id: UUID | None
    outcome: str
    closed_by: str | None = None
    """Who did it, be it this command's person or somebody before."""


def why_not(db: Session, ids: Collection[int]) -> list[Outcome]:
    """Of letters that could not be acted on, as they are now."""
    if not ids:
        return []
    asked = DeadLetterFilter(ids=list(ids), open=None)
    there = {each.id: each for each in dead_letters.find(db, asked, limit=len(ids))}
    unknown = [Outcome(each, None, UNKNOWN) for each in ids if each not in there]
    return [*map(_refused, there.values()), *unknown]


def not_known(letters: Mapping[int, UUID | None]) -> list[Outcome]:
    """Of letters that a command came to no answer about."""
    return [Outcome(each, job_id, "not known") for each, job_id in letters.items()]


def code_of_none(outcomes: Iterable[Outcome]) -> Code:
    """The exit code where none of the letters was acted on."""
    return Code.NOTHING if {each.outcome for each in outcomes} == {UNKNOWN} else Code.FAILED


def tell(outcomes: Iterable[Outcome], done: str) -> None:
    """Say which were not acted on, and why: a line for each reason, with some of the ids."""
    others: dict[str, list[int]] = {}
    for each in outcomes:
        if each.outcome != done:
            by = f" by {each.closed_by}" if each.closed_by else ""
            others.setdefault(f"{each.outcome}{by}", []).append(each.id)
    for why, ids in others.items():
        talk(f"not {done}, {why}: {_some(ids)}")


def _refused(letter: DeadLetter) -> Outcome:
    if letter.closed_at is not None:
        outcome = f"{letter.resolution} before"
    elif letter.job_id is None:
        outcome = "no job of ours: to discard, not to replay"
    else:
        outcome = "its job is not dead any more"
    return Outcome(letter.id, letter.job_id, outcome, letter.closed_by)


def _some(ids: Collection[int]) -> str:
    more = f" and {len(ids) - SAMPLE} more" if len(ids) > SAMPLE else ""
    return ", ".join(map(str, islice(ids, SAMPLE))) + more

"""What `duly jobs wait` does: it waits until jobs have ended, and says how."""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.cli.errors import Code, Stop
from outbox.operations.endings import ended

POLL_SECONDS = 0.2
OPEN = "not ended"


def wait_for(db: Session, job_ids: Collection[UUID], limit: timedelta | None) -> dict[UUID, str]:
    """The state of each job once all have ended, or `OPEN` for those that have not within `limit`.

    Each look is one statement in a transaction of its own. Raises Stop if one is not there.
    """
    began, states = time.monotonic(), dict.fromkeys(job_ids, OPEN)
    while True:
        states |= _look(db, [each for each, state in states.items() if state == OPEN])
        if OPEN not in states.values():
            return states
        if limit is not None and time.monotonic() - began >= limit.total_seconds():
            return states
        time.sleep(POLL_SECONDS)


def check_states(states: Mapping[UUID, str]) -> None:
    """Raises Stop unless all jobs have succeeded: those that have ended otherwise count first."""
    found = Counter(states.values())
    if found["succeeded"] == len(states):
        return
    summary = ", ".join(f"{count} {state}" for state, count in sorted(found.items()))
    is_late = set(found) <= {"succeeded", OPEN}
    raise Stop(f"of {len(states)} jobs: {summary}", Code.TIMEOUT if is_late else Code.FAILED)


def _look(db: Session, job_ids: Collection[UUID]) -> dict[UUID, str]:
    with db.begin():
        found = ended(db, job_ids)
    if missing := [str(each) for each, state in found.items() if state is None]:
        raise Stop(f"there is no job {', '.join(missing)}", Code.NOTHING)
    return {each: state for each, state in found.items() if state is not None}

"""Handlers for dead letters: list them, look at one, replay or discard it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Path, Query

from outbox.http.auth.record import WhyInBody, WhyInQuery, record_look
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.strict_json import QueryText
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.dead_letters import looks
from outbox.http.routes.dead_letters.schemas import LetterInFull, LetterPage, LetterShown
from outbox.http.routes.moments import Moment
from outbox.operations import batches, dead_letters, jobs
from outbox.operations.dead_letters import DeadLetter, DeadLetterFilter, Reason

router = APIRouter(
    prefix="/v1/dead-letters",
    tags=["Dead letters"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)
ACT = problem_docs(*POST_REQUEST, types.NOT_FOUND, types.CONFLICT)

LetterId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get(
    "",
    summary="List dead letters",
    responses=success_doc(200, "LetterPage") | problem_docs(types.BAD_CURSOR),
)
async def list_dead_letters(
    *,
    tx: Tx,
    _: Reader,
    kind: QueryText | None = None,
    queue: QueryText | None = None,
    reason: Reason | None = None,
    error: Annotated[
        QueryText | None, Query(description="Part of the error's type or message.")
    ] = None,
    since: Moment | None = None,
    until: Annotated[Moment | None, Query(description="Only those that died before it.")] = None,
    batch: Annotated[
        UUID | None, Query(description="Only members of this batch, or of a batch in it.")
    ] = None,
    is_open: Annotated[
        bool, Query(alias="open", description="`false` lists those replayed or discarded.")
    ] = True,
    oldest_first: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LetterPage:
    """Dead letters, the newest first unless asked otherwise.

    A page may be short or even empty. `next_cursor` says whether more pages follow.
    """
    wanted = DeadLetterFilter(
        None, kind, queue, reason, error, since, until, open=is_open, batch=batch
    )
    of = "dead-letters, the oldest first" if oldest_first else "dead-letters"
    after = cursors.read(cursor, of, int)
    page = await tx.run_sync(
        dead_letters.find_page, wanted, limit=limit, after=after, oldest_first=oldest_first
    )
    shown = [LetterShown.of(letter) for letter in page.rows]
    return LetterPage(dead_letters=shown, next_cursor=cursors.after(page.after, of))


@router.get(
    "/{letter_id}",
    summary="Look at a dead letter",
    responses=success_doc(200, "LetterInFull") | problem_docs(types.NOT_FOUND),
)
async def get_dead_letter(
    *,
    letter_id: LetterId,
    tx: Tx,
    by: Reader,
    why: WhyInQuery = None,
    platform: OnPlatform,
    background: BackgroundTasks,
) -> LetterInFull:
    """A dead letter with its message, and the error and traceback of every attempt.

    The first time is noted, as `looked_at`.
    """
    letter = await _get(tx, letter_id)
    looks.note_later(background, platform.late_writes, letter)
    await record_look(tx, by, [f"dead-letter:{letter_id}"], why)
    attempts = await tx.run_sync(jobs.attempts, letter.job_id) if letter.job_id else []
    return LetterInFull.of_attempts(letter, attempts, by)


@router.post(
    "/{letter_id}/replay",
    summary="Replay a dead letter",
    responses=success_doc(200, "LetterReplayed") | ACT,
)
async def replay_dead_letter(
    letter_id: LetterId, tx: Tx, by: Operator, why: WhyInBody
) -> LetterShown:
    """Queue the letter's job again with a fresh budget of attempts, and close the letter."""
    if not await tx.run_sync(dead_letters.replay, [letter_id], by=str(by), why=why):
        raise await _refused(tx, await _get(tx, letter_id))
    return LetterShown.of(await _get(tx, letter_id))


@router.post(
    "/{letter_id}/discard",
    summary="Discard a dead letter",
    responses=success_doc(200, "LetterDiscarded") | ACT,
)
async def discard_dead_letter(
    letter_id: LetterId, tx: Tx, by: Operator, why: WhyInBody
) -> LetterShown:
    """Close the letter without another run. The job stays dead, and keeps its history."""
    if not await tx.run_sync(dead_letters.discard, [letter_id], by=str(by), why=why):
        raise await _refused(tx, await _get(tx, letter_id))
    return LetterShown.of(await _get(tx, letter_id))


async def _get(tx: Tx, letter_id: int) -> DeadLetter:
    letter = await tx.run_sync(dead_letters.get, letter_id)
    if letter is None:
        raise Problem(types.NOT_FOUND, f"there is no dead letter {letter_id}")
    return letter


async def _refused(tx: Tx, letter: DeadLetter) -> Problem:
    if letter.closed_at is not None:
        return Problem(types.CONFLICT, f"{letter.closed_by} has {letter.resolution} it already")
    if not letter.may_be_replayed:
        detail = "its message is no job of this service: it can only be discarded"
        return Problem(types.CONFLICT, detail)
    job_id = letter.job_id
    if job_id is not None and await tx.run_sync(batches.is_cancelled, job_id):
        return Problem(types.CONFLICT, "its job is in a batch that was cancelled")
    return Problem(types.CONFLICT, "its job is no longer dead")

"""Dead letters as the API shows them."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from outbox.http.base_path import with_base_path
from outbox.http.routes.jobs.schemas import Attempt, job_path
from outbox.operations.api_keys import Caller, Scope
from outbox.operations.dead_letters import DeadLetter
from outbox.operations.jobs import AttemptRecord
from outbox.redaction.fields import redact_headers
from outbox.store.records import fields


class LetterShown(BaseModel):
    """A dead letter. It is open until somebody replays or discards it.

    `closed_by` and `close_reason` then say who did, and why. `links.replay` and `links.discard` are
    there while it is open; a message of another service can only be discarded. `outgoing_id` is the
    id of a message to another service that could not be sent: replaying the letter sends it again.
    `looked_at` is when somebody first looked at this letter alone, and null before; it is noted
    after the answer, best effort.
    """

    id: int
    job_id: UUID | None
    kind: str | None
    queue: str
    reason: str
    error_type: str | None
    error_message: str | None
    died_at: datetime
    collected_at: datetime | None
    closed_at: datetime | None
    resolution: Literal["replayed", "discarded"] | None
    closed_by: str | None
    close_reason: str | None
    outgoing_id: UUID | None
    looked_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, letter: DeadLetter) -> "LetterShown":
        """The letter without its message."""
        return cls.model_validate(_shown(letter))


class Message(BaseModel):
    """The message as it was on the broker. A body that is not UTF-8 is in `body_base64`.

    Of a body over a million bytes only the beginning is shown; `size` is its full size in bytes.
    """

    size: int
    body: str | None = None
    body_base64: str | None = None
    headers: Any

    @classmethod
    def of(cls, letter: DeadLetter, headers: object) -> "Message":
        """The letter's message, as text or else as bytes, with these headers."""
        text = letter.message_text
        encoded = None if text is not None else b64encode(letter.message_body or b"").decode()
        return cls(size=letter.message_size or 0, body=text, body_base64=encoded, headers=headers)


class LetterInFull(LetterShown):
    """A dead letter with every failed attempt of its job.

    `message` is null if it has not come back from the broker. It is also null if it belongs to no
    job of Duly's, and so may hold anything, and the key lacks the scope `payloads`. Without that
    scope the headers of other messages are hidden too, except those that RabbitMQ writes.
    """

    attempts: list[Attempt]
    message: Message | None

    @classmethod
    def of_attempts(
        cls, letter: DeadLetter, attempts: Sequence[AttemptRecord], by: Caller
    ) -> "LetterInFull":
        """The letter and its attempts as this caller may see them."""
        runs = [fields(attempt) for attempt in attempts]
        return cls.model_validate(
            _shown(letter) | {"attempts": runs, "message": _message(letter, by)}
        )


class LetterPage(BaseModel):
    """A page of dead letters."""

    dead_letters: list[LetterShown]
    next_cursor: str | None


def _shown(letter: DeadLetter) -> dict[str, Any]:
    path = with_base_path(f"/v1/dead-letters/{letter.id}")
    links = {"self": path}
    if letter.job_id is not None:
        links["job"] = job_path(letter.job_id)
    if letter.closed_at is None:
        links["discard"] = f"{path}/discard"
        if letter.may_be_replayed:
            links["replay"] = f"{path}/replay"
    return fields(letter) | {"links": links}


def _message(letter: DeadLetter, by: Caller) -> Message | None:
    if letter.message_body is None:
        return None
    if by.may(Scope.PAYLOADS):
        return Message.of(letter, letter.message_headers)
    if letter.job_id is None:
        return None
    return Message.of(letter, redact_headers(letter.message_headers, foreign=False))

"""Dead letters as the API shows them."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from outbox.http.base_path import below
from outbox.http.routes.job_schemas import Attempt, job_path
from outbox.operations.api_keys import Caller, Scope
from outbox.operations.dead_letters import DeadLetter
from outbox.operations.jobs import AttemptRecord
from outbox.redaction.fields import redact_headers
from outbox.store.records import fields


class LetterShown(BaseModel):
    """A dead letter: open until it is replayed or discarded, by whom and why it says."""

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
    links: dict[str, str]

    @classmethod
    def of(cls, letter: DeadLetter) -> "LetterShown":
        """The letter without its message."""
        return cls.model_validate(_shown(letter))


class Message(BaseModel):
    """The message as it was on the broker; one that is not UTF-8 is in `body_base64`.

    Of one with more than a million bytes only the beginning; `size` is how many it has.
    """

    size: int
    body: str | None = None
    body_base64: str | None = None
    headers: Any

    @classmethod
    def of(cls, letter: DeadLetter, headers: object) -> "Message":
        """The letter's message with these of its headers: its text, or its bytes."""
        text = letter.message_text
        encoded = None if text is not None else b64encode(letter.message_body or b"").decode()
        return cls(size=letter.message_size or 0, body=text, body_base64=encoded, headers=headers)


class LetterInFull(LetterShown):
    """A dead letter with every failed attempt of its job.

    `message` is absent where it has not come back from the broker; and, for a message that is no
    job of Duly's and may hold anything, where the key lacks the scope `payloads`. Without it the
    headers of other messages are hidden, too, but for those that RabbitMQ writes.
    """

    attempts: list[Attempt]
    message: Message | None

    @classmethod
    def of_attempts(
        cls, letter: DeadLetter, attempts: Sequence[AttemptRecord], by: Caller
    ) -> "LetterInFull":
        """The letter's whole story as this caller may see it."""
        runs = [fields(attempt) for attempt in attempts]
        return cls.model_validate(
            _shown(letter) | {"attempts": runs, "message": _message(letter, by)}
        )


class LetterPage(BaseModel):
    """Some dead letters, the newest first."""

    dead_letters: list[LetterShown]
    next_cursor: str | None


def _shown(letter: DeadLetter) -> dict[str, Any]:
    path = below(f"/v1/dead-letters/{letter.id}")
    links = {"self": path, "replay": f"{path}/replay", "discard": f"{path}/discard"}
    if letter.job_id is not None:
        links["job"] = job_path(letter.job_id)
    return fields(letter) | {"links": links}


def _message(letter: DeadLetter, by: Caller) -> Message | None:
    if letter.message_body is None:
        return None
    if by.may(Scope.PAYLOADS):
        return Message.of(letter, letter.message_headers)
    if letter.job_id is None:
        return None
    return Message.of(letter, redact_headers(letter.message_headers, foreign=False))

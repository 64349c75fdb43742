"""Dead letters as the API shows them."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from outbox.dead_letters import DeadLetter
from outbox.jobs import AttemptRecord
from service.api_keys import Caller, Scope
from service.job_shapes import Attempt, job_path


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
    """The message as it was on the broker; one that is not UTF-8 is in `body_base64`."""

    body: str | None = None
    body_base64: str | None = None
    headers: Any

    @classmethod
    def of(cls, content: bytes, headers: object) -> "Message":
        """The message's text, or its bytes."""
        try:
            return cls(body=content.decode(), headers=headers)
        except UnicodeDecodeError:
            return cls(body_base64=b64encode(content).decode(), headers=headers)


class LetterInFull(LetterShown):
    """A dead letter with every failed attempt of its job.

    `message` is absent where it has not come back from the broker; and, for a message that is no
    job of Duly's and may hold anything, where the key lacks the scope `payloads`.
    """

    attempts: list[Attempt]
    message: Message | None

    @classmethod
    def told(
        cls, letter: DeadLetter, attempts: Sequence[AttemptRecord], by: Caller
    ) -> "LetterInFull":
        """The letter's whole story as this caller may see it."""
        runs = [asdict(attempt) for attempt in attempts]
        return cls.model_validate(
            _shown(letter) | {"attempts": runs, "message": _message(letter, by)}
        )


class LetterPage(BaseModel):
    """Some dead letters, the newest first."""

    dead_letters: list[LetterShown]
    next_cursor: str | None


def _shown(letter: DeadLetter) -> dict[str, Any]:
    path = f"/v1/dead-letters/{letter.id}"
    links = {"self": path, "replay": f"{path}/replay", "discard": f"{path}/discard"}
    if letter.job_id is not None:
        links["job"] = job_path(letter.job_id)
    return asdict(letter) | {"links": links}


def _message(letter: DeadLetter, by: Caller) -> Message | None:
    unknown_content = letter.job_id is None and not by.may(Scope.PAYLOADS)
    if letter.message_body is None or unknown_content:
        return None
    return Message.of(bytes(letter.message_body), letter.message_headers)

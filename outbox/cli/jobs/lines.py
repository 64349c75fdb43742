"""Jobs to submit as JSON: one in each line of a file or of stdin, or one in an option."""

from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from outbox import Priority, Work
from outbox.cli.errors import Code, Stop, field_errors
from outbox.cli.payloads import check_kind, content, decode, given, work_of
from outbox.submission.submit import Options

MOST_LINES = 100_000
"""How many jobs one command submits, in one transaction."""
MOST_ERRORS = 20

M = TypeVar("M", bound=BaseModel)


class Followup(BaseModel):
    """A kind with its payload."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    payload: dict[str, Any]


class Line(Followup):
    """A job, as `POST /v1/jobs` takes it."""

    run_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    priority: Literal["high", "normal", "low"] | None = None

    def options(self, by: str) -> Options:
        """When it runs, how soon and who asks for it, as `submit` takes it. Raises Stop."""
        if self.run_at and self.expires_at and self.expires_at <= self.run_at:
            raise Stop("expires_at must be later than run_at", Code.USAGE)
        return {
            "run_at": self.run_at,
            "expires_at": self.expires_at,
            "priority": Priority[self.priority.upper()] if self.priority else None,
            "by": by,
        }


def jobs_in(path: str, by: str) -> list[tuple[Work[Any], Options]]:
    """The jobs in the lines of a file, or of stdin for `-`. Empty lines are left out.

    Raises Stop with what is wrong in the first lines that cannot be used.
    """
    lines = [
        (number, line)
        for number, line in enumerate(content(path, "jobs").splitlines(), 1)
        if line.strip()
    ]
    if len(lines) > MOST_LINES:
        raise Stop(f"there are more than {MOST_LINES:,} jobs: add them in parts", Code.USAGE)
    jobs, errors = [], []
    for number, line in lines:
        try:
            read = _read(Line, line)
            jobs.append((_work(read), read.options(by)))
        except Stop as wrong:
            errors += [f"line {number}: {each}" for each in str(wrong).splitlines()]
    if errors:
        raise Stop("\n".join(_first(errors)), Code.USAGE)
    return jobs


def callback(text: str | None, option: str) -> Work[Any] | None:
    """The work that an option gives as JSON or `@FILE`, with its kind. Raises Stop."""
    if text is None:
        return None
    try:
        return _work(_read(Followup, given(text, option)))
    except Stop as wrong:
        lines = (f"{option}: {line}" for line in str(wrong).splitlines())
        raise Stop("\n".join(lines), Code.USAGE) from None


def _read(model: type[M], text: bytes) -> M:
    try:
        return model.model_validate(decode(text, "job"))
    except ValidationError as error:
        raise Stop(field_errors(error), Code.USAGE) from None


def _work(read: Followup) -> Work[Any]:
    check_kind(read.kind)
    return work_of(read.kind, read.payload, "payload")


def _first(errors: list[str]) -> list[str]:
    left = len(errors) - MOST_ERRORS
    return errors[:MOST_ERRORS] + ([f"and {left:,} more"] if left > 0 else [])

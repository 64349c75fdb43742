"""What a person finds of a task that failed, and can do about it."""

from dataclasses import dataclass
from typing import Any

from tests.compare.stage import Stage

ERROR = "HTTPStatusError"
"""What the task raises."""


class Logs:
    """What the process that does the tasks says from now on."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._role = stage, stage.contender.works_in
        self._said = len(stage.log(self._role))

    def have_the_error(self) -> bool:
        """Whether they tell of the error."""
        return ERROR in self._stage.log(self._role)[self._said :]


def error_of(stage: Stage, order: int, logs: Logs) -> str:
    """Where the error of a try is found."""
    places = ["in the log"] if logs.have_the_error() else []
    if stage.contender.is_duly and ERROR in str(_job(stage, order)):
        places.insert(0, "in the job")
    return " and ".join(places) or "nowhere"


@dataclass(frozen=True)
class Found:
    """Where what failed for good is found."""

    where: str
    is_kept: bool
    """Whether there is more of it than words."""


def find_dead(stage: Stage, order: int, logs: Logs) -> Found:
    """Look for it where the system keeps such things, and last in the log."""
    if stage.contender.is_duly and (letter := _letter(stage, order)):
        return Found(f"a dead letter with its {letter['error_type']}", is_kept=True)
    for queue, text in stage.messages(order):
        with_error = ", with its error" if ERROR in text else ""
        return Found(f"a message in {queue}{with_error}", is_kept=True)
    return Found("in the log only" if logs.have_the_error() else "nowhere", is_kept=False)


def replay(stage: Stage, order: int) -> str:
    """Replay it, where there is a command for that, and say which."""
    letter = _letter(stage, order) if stage.contender.is_duly else None
    if letter is None:
        return ""
    stage.duly("dlq", "replay", str(letter["id"]), "--by", "ada", "--why", "mended", "--yes")
    return "`duly dlq replay`: "


def _job(stage: Stage, order: int) -> Any:
    (job,) = stage.duly("jobs", "list", "--subject", f"order:{order}")
    return stage.duly("jobs", "show", job["id"])


def _letter(stage: Stage, order: int) -> Any:
    job = _job(stage, order)["id"]
    return next((each for each in stage.duly("dlq", "list") if each["job_id"] == job), None)

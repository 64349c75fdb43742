"""One check: its name, what it looks at, and the function that looks."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from outbox.doctor.found import Found
from outbox.doctor.setup import Setup

SECONDS = 5.0
"""How long most checks may take."""

Look = Callable[[Setup], Found]


class Group(StrEnum):
    """What is looked at. The checks of a group run one after the other, groups side by side."""

    APP = "App"
    POSTGRES = "Postgres"
    RABBITMQ = "RabbitMQ"
    MANAGEMENT = "RabbitMQ's management API"
    OWN = "Checks of your own"


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a set-up. `good` says in one sentence what is so when all is well.

    `look` returns what it found with `ok`, `warning` or `error`, or raises `Skip` if it cannot
    look. Whatever else it raises is an error, and its text is shown. It runs on a thread of its
    own and has `seconds`: after that, the finding is an error, too. If it is a gate and finds an
    error, the rest of its group is skipped.
    """

    name: str
    good: str
    look: Look
    docs: str = "docs/doctor.md#checks-of-your-own"
    group: Group = Group.OWN
    is_gate: bool = False
    seconds: float = SECONDS


def check(
    group: Group,
    good: str,
    *,
    docs: str | None = None,
    is_gate: bool = False,
    seconds: float = SECONDS,
) -> Callable[[Look], Check]:
    """Make a check of a function. The function's name, with dashes, is the check's."""

    def decorate(look: Look) -> Check:
        name = look.__name__.replace("_", "-")
        return Check(name, good, look, docs or _page(group), group, is_gate, seconds)

    return decorate


def _page(group: Group) -> str:
    heading = group.value.lower().replace("'", "").replace(" ", "-")
    return f"docs/doctor.md#{heading}"

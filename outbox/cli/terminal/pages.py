"""Lists that go on: each command lists a page, and says how to get the next one."""

from collections.abc import Sequence
from typing import Any, Protocol

from outbox.cli.terminal.output import talk


class _Identified(Protocol):
    @property
    def id(self) -> Any: ...


def tell_of_more(found: Sequence[_Identified], limit: int) -> None:
    """Say how to go on, where more was found than the `limit` that is listed."""
    if len(found) > limit:
        talk(f"there are more: go on with --after {found[limit - 1].id}")

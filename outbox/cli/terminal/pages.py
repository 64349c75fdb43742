"""Lists in pages: each command lists one page, and says how to get the next."""

from collections.abc import Sequence
from typing import Any, Protocol

from outbox.cli.terminal.output import print_message


class _Identified(Protocol):
    @property
    def id(self) -> Any: ...


def print_continuation(found: Sequence[_Identified], limit: int) -> None:
    """Say how to list the next page, if more than `limit` were found."""
    if len(found) > limit:
        print_message(f"there are more: go on with --after {found[limit - 1].id}")

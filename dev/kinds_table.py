"""README's table of the service's kinds, made from their declarations."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from outbox.flow.keys import Key
from outbox.kinds import Kind
from outbox.retry import Retry
from service.subjects import KINDS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- kinds -->\n", "<!-- end of kinds -->\n"
COLUMNS = (
    *("kind", "payload", "owner", "queue", "time limit", "retries"),
    *("why a second attempt does no harm", "one at a time, keys", "sensitive"),
)


def table() -> str:
    """The table in Markdown: one line for each kind, by name."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(KINDS[name]) for name in sorted(KINDS))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def written(readme: str) -> str:
    """The text with the table of today between its marks."""
    before, _, rest = readme.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def _row(kind: Kind[..., Any]) -> list[str]:
    return [
        f"`{kind.name}`",
        f"`{kind.model.__name__}`",
        kind.owner or "",
        kind.queue,
        _time(kind.time_limit),
        _retries(kind.retry),
        kind.idempotency or "",
        _keys(kind),
        ", ".join(kind.sensitive),
    ]


def _retries(retry: Retry) -> str:
    never = ", ".join(each.__name__ for each in retry.never)
    return f"{retry.attempts} attempts" + (f"; none after {never}" if never else "")


def _keys(kind: Kind[..., Any]) -> str:
    unique = f"unique by {', '.join(kind.unique.fields) or 'kind'}" if kind.unique else ""
    return "; ".join(filter(None, [unique, *map(_key, kind.keys)]))


def _key(key: Key) -> str:
    limit = "in order" if key.ordered else f"at most {key.at_most}" if key.at_most else "a share"
    return f"{limit}, {key.rate}" if key.rate else limit


def _time(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))

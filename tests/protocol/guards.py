"""Finds the guards in the SQL of the steps, each with the step as it is without it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from outbox.store import transitions

_INNER = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
_PART = rf"(?:[^()\n]|\({_INNER}\))+?"
_CONDITION = (
    r"\b(?:WHERE|AND|ON|WHEN|HAVING) (?!CONFLICT|FROM|CASE|true|')"
    rf"(?P<removed>{_PART})"
    r"(?=\s+(?:AND(?! ')|OR|THEN|AS|GROUP|ORDER|DO|SET|LIMIT|RETURNING)\b|\s*\n|\)|\"|$)"
)
_CLAUSE = (
    r"(?P<removed>FOR (?:UPDATE|SHARE)(?: OF \w+)?(?: SKIP LOCKED)?|\bSKIP LOCKED"
    r"|\bORDER BY [\w.]+(?: DESC)?"
    r"|ON CONFLICT(?: \([^)]*\)(?: WHERE .*?)?)? DO "
    rf"(?:NOTHING|UPDATE\s+SET (?:[^()]|\({_INNER}\))+?(?=\s*(?:RETURNING\b|\)|$))))"
)
_LIMITED = ", true AS is_limited"
"""All that a claim for kinds with limits has more than the one without: it returns it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition, a lock, an order or what is done about a conflict."""

    step: str
    line: int
    text: str
    sql: str
    """The step without it."""

    def __str__(self) -> str:
        return f"{self.step}, line {self.line}: {' '.join(self.text.split())}"


def guards() -> list[Guard]:
    """All of them, in the order of the steps."""
    texts = {
        name: value
        for name, value in vars(transitions).items()
        if name.isupper() and isinstance(value, str)
    }
    return [guard for step in texts for guard in _guards_of(step, texts)]


def _guards_of(step: str, texts: Mapping[str, str]) -> Iterator[Guard]:
    """Its own: what it has of another step is that one's."""
    sql = texts[step]
    if _LIMITED in sql and sql.replace(_LIMITED, "").strip() in map(str.strip, texts.values()):
        return
    others = [text.rstrip() for name, text in texts.items() if name != step]
    taken = [range(at, at + len(text)) for text in others if (at := sql.find(text)) >= 0]
    for pattern, instead in ((_CONDITION, "TRUE"), (_CLAUSE, "")):
        for found in re.finditer(f"(?={pattern})", sql):
            start, end = found.span("removed")
            if not any(start in span for span in taken):
                line = sql.count("\n", 0, start)
                yield Guard(step, line, found["removed"], sql[:start] + instead + sql[end:])

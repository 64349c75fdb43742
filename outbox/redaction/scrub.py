"""Removes sensitive values from texts that others wrote, such as errors that quote a payload."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outbox.kinds import Kind
from outbox.redaction.encodings import View, views
from outbox.redaction.fields import HIDDEN

LONGEST_TEXT = 60_000
"""How many characters of a long text are kept: more would keep the whole process busy."""
SHORTEST_SECRET = 4
"""Shorter values stay in error texts: hiding every "no" would make the text unreadable."""
PART = 8
"""A run of this many characters is hidden if the text shares it with a value of one word."""
PHRASE = 16
"""The same for a value of several words: any two texts share shorter runs."""
_SLACK = 20 * PHRASE
"""How far the search goes beyond the kept text. A part at its edge may continue there, with each of
its characters encoded as several."""
_WORDS = re.compile(r"\w+(?:[.+'-]\w+)*")


def scrub(text: str, kind: Kind[..., Any], payload: Mapping[str, Any]) -> str:
    """An error's text without the sensitive values that it quotes: whole, in part, or encoded.

    Hidden are values of up to `PART` characters, parts of longer ones, and the name before the `@`
    of a mail address. They are found in any case, and in the encodings of mail, the web, Python and
    JSON. Of a text longer than `LONGEST_TEXT`, the beginning and the end are kept.
    """
    secrets = {_folded(s) for name in kind.sensitive for s in _strings(payload.get(name))}
    if len(text) <= LONGEST_TEXT:
        return _scrubbed(text, secrets, slice(None))
    half = LONGEST_TEXT // 2
    beginning = _scrubbed(text[: half + _SLACK], secrets, slice(half))
    end = _scrubbed(text[-half - _SLACK :], secrets, slice(_SLACK, None))
    return f"{beginning}\n[...]\n{end}"


def _scrubbed(text: str, secrets: set[str], kept: slice) -> str:
    if not secrets:
        return text[kept]
    seen = [View(_folded(view.text), view.begins, view.ends) for view in views(text)]
    hidden = bytearray(len(text))
    quotes, names = _quotes(secrets, seen), _names(secrets)
    for view in seen:
        for begin, end in (*_quote_spans(view.text, quotes), *_name_spans(view.text, names)):
            first, last = view.begins[begin], view.ends[end - 1]
            hidden[first:last] = b"\1" * (last - first)
    return _redacted(text[kept], hidden[kept])


def _folded(text: str) -> str:
    """In lower case, with as many characters as before: mail servers may answer in another case."""
    return text.replace("\u0130", "i").lower().replace("\u03c2", "\u03c3")


def _quotes(secrets: set[str], seen: Sequence[View]) -> set[str]:
    """What to search for: short values, and those parts of long ones that occur in the texts."""
    present = {part for view in seen for size in (PART, PHRASE) for part in _parts(view.text, size)}
    lines = {line for secret in secrets for line in secret.splitlines()}
    found: set[str] = set()
    for secret in secrets | lines:
        size = PHRASE if re.search(r"\s", secret) else PART
        if len(secret) > size:
            found.update(part for part in _parts(secret, size) if part in present)
        elif len(secret) >= SHORTEST_SECRET:
            found.add(secret)
    return found


def _parts(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(len(text) - size + 1))


def _names(secrets: set[str]) -> set[str]:
    """The part before the `@` of mail addresses, which servers often quote alone."""
    names = {secret.rpartition("@")[0] for secret in secrets if not re.search(r"\s", secret)}
    return {name for name in names if len(name) >= SHORTEST_SECRET}


def _quote_spans(text: str, quotes: set[str]) -> Iterator[tuple[int, int]]:
    for size in {len(quote) for quote in quotes}:
        for start, part in enumerate(_parts(text, size)):
            if part in quotes:
                yield start, start + size


def _name_spans(text: str, names: set[str]) -> Iterator[tuple[int, int]]:
    """Names are matched as whole words only: `mail` is part of too many others."""
    return (word.span() for word in _WORDS.finditer(text) if names and word[0] in names)


def _redacted(text: str, hidden: bytearray) -> str:
    parts, last = [], 0
    for run in re.finditer(b"\1+", hidden):
        parts += [text[last : run.start()], HIDDEN]
        last = run.end()
    return "".join([*parts, text[last:]])


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        if len(str(value)) >= SHORTEST_SECRET:
            yield str(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(name)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)

"""Reads jobs and their payloads from the command line, and validates them."""

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from outbox import Work
from outbox.cli.app import kinds
from outbox.cli.errors import Code, Stop, field_errors
from outbox.values import depth, exact_json, value_count


def work_from(kind: str, payload: str) -> Work[Any]:
    """The work for a payload given as JSON, `@FILE`, or `-` for stdin.

    Raises Stop with one line for each invalid field.
    """
    check_kind(kind)
    return work_of(kind, decode(given(payload, "payload"), "payload"), "payload")


def check_kind(kind: str) -> None:
    """Raises Stop unless the app has this kind."""
    if kind not in kinds():
        raise Stop(f"there is no kind {kind!r}; the kinds are {', '.join(kinds())}", Code.USAGE)


def work_of(kind: str, payload: object, name: str) -> Work[Any]:
    """The work with this payload, whose fields begin with `name` in the Stop that it raises."""
    try:
        work = kinds()[kind].parse(payload)
        work.keys()
    except ValidationError as error:
        raise Stop(field_errors(error, lambda field: f"{name}.{field}"), Code.USAGE) from None
    except ValueError as error:
        raise Stop(f"{name}: {error}", Code.USAGE) from None
    return work


def given(text: str, name: str) -> bytes:
    """What was given as itself, `@FILE`, or `-` for stdin. Raises Stop."""
    if text == "-" or text.startswith("@"):
        return content(text.removeprefix("@"), name)
    return text.encode(errors="surrogateescape")


def content(path: str, name: str) -> bytes:
    """What is in the file, or in stdin for `-`. Raises Stop."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Stop(f"{name}: {path}: {error.strerror}", Code.USAGE) from None


def decode(text: bytes, name: str) -> Any:
    """The JSON value, exactly as it was written. Raises Stop with what is wrong, by `name`."""
    try:
        return exact_json.read(text)
    except exact_json.Inexact as error:
        lines = (f"{'.'.join([name, *map(str, path)])}: {why}" for path, why in error.faults)
        raise Stop("\n".join(lines), Code.USAGE) from None
    except (depth.TooDeep, value_count.TooMany) as error:
        raise Stop(f"{name}: {error}", Code.USAGE) from None
    except ValueError as error:
        raise Stop(f"{name} is not JSON: {error}", Code.USAGE) from None

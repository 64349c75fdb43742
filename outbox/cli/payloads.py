"""Reads a job's payload from the command line, and validates it."""

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
    if kind not in kinds():
        raise Stop(f"there is no kind {kind!r}; the kinds are {', '.join(kinds())}", Code.USAGE)
    try:
        work = kinds()[kind].parse(_decode(_read(payload)))
        work.keys()
    except ValidationError as error:
        raise Stop(field_errors(error, lambda field: f"payload.{field}"), Code.USAGE) from None
    except ValueError as error:
        raise Stop(f"payload: {error}", Code.USAGE) from None
    return work


def _read(payload: str) -> bytes:
    if payload == "-":
        return sys.stdin.buffer.read()
    if not payload.startswith("@"):
        return payload.encode(errors="surrogateescape")
    try:
        return Path(payload[1:]).read_bytes()
    except OSError as error:
        raise Stop(f"payload: {payload[1:]}: {error.strerror}", Code.USAGE) from None


def _decode(text: bytes) -> Any:
    try:
        return exact_json.read(text)
    except exact_json.Inexact as error:
        lines = (f"{'.'.join(['payload', *map(str, path)])}: {why}" for path, why in error.faults)
        raise Stop("\n".join(lines), Code.USAGE) from None
    except (depth.TooDeep, value_count.TooMany) as error:
        raise Stop(f"payload: {error}", Code.USAGE) from None
    except ValueError as error:
        raise Stop(f"payload is not JSON: {error}", Code.USAGE) from None

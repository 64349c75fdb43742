"""Rows of the engine's tables as dataclasses."""

from typing import Any


def fields(record: Any) -> dict[str, Any]:
    """A dataclass's fields by name; unlike `asdict` it copies no value, however large."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}

"""Helpers for dataclasses that hold rows of the engine's tables."""

from typing import Any


def fields(record: Any) -> dict[str, Any]:
    """A dataclass's fields by name. Unlike `asdict`, it copies no value, however large."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}

"""What the service has for one subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outbox import Kinds, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.openapi.models import Example

    from service.base import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A subject such as invoices: its jobs, its tables, and where its code is.

    `actors` and `routes` are names, so that the API does not import what actors need, and a worker
    does not import what handlers need.
    """

    kinds: Kinds
    open_kinds: Kinds = field(default_factory=Kinds)
    """The kinds that clients may submit over HTTP."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    """Examples of such jobs, for the API's documentation."""
    models: tuple[type[Base], ...] = ()
    schedules: tuple[Schedule, ...] = ()
    """What is done at set times."""
    actors: str
    """The module in which `ACTORS` are the actors of these kinds."""
    routes: str | None = None
    """The module in which `router` has the subject's routes.

    If any, `ANSWERS` has examples, and `UPLOADS` patterns for the paths of routes that stream their
    body, and so are not held to `Settings.largest_body`.
    """

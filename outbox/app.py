"""An app: one object that says what it has, for everything else to use."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData

from outbox import settings as library
from outbox.actors import Actors
from outbox.consumers import Consumers
from outbox.kinds import Kinds, declare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter, FastAPI
    from fastapi.openapi.models import Example

    from outbox.doctor import Check, Setup
    from outbox.http.routes.jobs.submit import NeededScope
    from outbox.schedules.schedule import Schedule
    from outbox.settings import Settings


class Duly:
    """An app's kinds and actors, for its processes, its command line and its HTTP API.

    `actors` is the app's `Actors`, or where the worker finds it, as `module:name`. With a name, the
    other processes need not import what the actors import. `settings` reads the app's settings, if
    it has more than the library's. `check` raises ValueError or OSError if an API or a worker
    cannot run here.

    `open_kinds` are the kinds that clients may submit over HTTP, by default none. `needed_scope`
    returns the scope that a job needs besides `submit`, or None. `examples` are jobs of these kinds
    for the API's documentation.

    `api` names a function that makes the app's FastAPI, as `module:name`. Without it, `duly api`
    serves only the library's router. `migrations` names the app's package of Alembic migrations:
    `duly migrate` runs them after the library's. `tables` are the app's own tables:
    `duly migrate --grant-to` grants rights on them too. A relay writes `schedules`
    when it starts. Raises ValueError if two have the same name, or one a kind of another app.
    `consumers` make jobs of other services' messages: the app's `Consumers`, or where a worker
    finds them, as `module:name`. `checks` are the app's own for `duly doctor` and `/readyz?full`.
    """

    def __init__(
        self,
        kinds: Kinds,
        actors: str | Actors,
        *,
        open_kinds: Kinds | None = None,
        needed_scope: NeededScope = lambda _: None,
        examples: dict[str, Example] | None = None,
        settings: Callable[[], Settings] = library.settings,
        check: Callable[[], object] = lambda: None,
        api: str | None = None,
        migrations: str | None = None,
        tables: MetaData | None = None,
        schedules: Sequence[Schedule] = (),
        consumers: str | Consumers | None = None,
        checks: Sequence[Check] = (),
    ) -> None:
        if not isinstance(actors, str | Actors):
            raise TypeError("actors are an outbox.Actors, or where it is, as 'module:name'")
        self.kinds = kinds
        self._open_kinds = open_kinds or Kinds()
        self._needed_scope = needed_scope
        self._examples = examples or {}
        self.settings = settings
        self.check = check
        self.tables = tables or MetaData()
        self.schedules = _checked(schedules, kinds)
        declare(kinds.values())
        self._migrations = migrations
        self._actors = actors
        self._consumers = consumers
        self._checks = checks
        self._api = api

    def actors(self) -> Actors:
        """The actors that the worker runs. Raises ImportError, AttributeError or TypeError."""
        where = self.settings().actors or self._actors
        found = where if isinstance(where, Actors) else _imported(where)
        if not isinstance(found, Actors):
            raise TypeError(f"{where} is no outbox.Actors")
        return found

    def consumers(self) -> Consumers:
        """The consumers that the worker runs. Raises ImportError, AttributeError or TypeError."""
        where = self._consumers
        found = _imported(where) if isinstance(where, str) else where or Consumers()
        if not isinstance(found, Consumers):
            raise TypeError(f"{where} is no outbox.Consumers")
        return found

    def migrations(self) -> Path | None:
        """The folder of the app's Alembic migrations, if any. Raises ImportError."""
        if self._migrations is None:
            return None
        return Path(*import_module(self._migrations).__path__)

    def api(self) -> FastAPI:
        """The application that `duly api` serves. Raises ImportError or AttributeError."""
        if self._api:
            found: FastAPI = _imported(self._api)()
            return found
        from outbox.http.app import create_app

        largest = self.settings().largest_body
        return create_app(self.router(), lifespan=self.lifespan, largest_body=largest)

    def router(self) -> APIRouter:
        """The routes for jobs, dead letters, overdue jobs and health, for the app's own FastAPI."""
        from outbox.http.router import create_router

        return create_router(self._open_kinds, self._needed_scope, self._examples)

    def lifespan(self, app: FastAPI) -> AbstractAsyncContextManager[None]:
        """Holds what the router needs while the app runs: `FastAPI(lifespan=duly.lifespan)`."""
        from outbox.http.platform import running

        return running(app, self.setup())

    def setup(self, settings: Settings | None = None, *, with_actors: bool = False) -> Setup:
        """What `duly doctor` and `/readyz?full` look at, with these settings or else the app's.

        An api looks at it without the actors, which it does not import.
        """
        from outbox.doctor import Setup

        return Setup(
            self.kinds,
            settings or self.settings(),
            self._checks,
            self.tables,
            self.migrations,
            self.actors if with_actors else None,
        )


def _checked(schedules: Sequence[Schedule], kinds: Kinds) -> Sequence[Schedule]:
    if len({each.name for each in schedules}) != len(schedules):
        raise ValueError("two schedules have the same name")
    for each in schedules:
        if kinds.get(each.work.kind.name) is not each.work.kind:
            raise ValueError(f"schedule {each.name}: {each.work.kind.name} is no kind of this app")
    return schedules


def _imported(reference: str) -> Any:
    """Import the object that `module:name` refers to."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)

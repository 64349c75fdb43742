"""An app: what it has, said in one object that everything else takes it from."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData

from outbox import settings as library
from outbox.actors import Actors
from outbox.kinds import Kinds

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter, FastAPI
    from fastapi.openapi.models import Example

    from outbox.http.routes.submit_job import NeededScope
    from outbox.settings import Settings


class Duly:
    """An app's kinds and actors, for its processes, its command line and its HTTP API.

    `actors` is where the worker finds the app's `Actors`, as `module:name`: other processes need
    not import what actors import. `settings` reads the app's settings where it has more than the
    library's. `check` raises ValueError or OSError where an API or a worker cannot run.

    Clients may submit `open_kinds` over HTTP, none unless told; `examples` are such jobs for the
    API's documentation, and `needed_scope` says which scope one needs besides `submit`.

    `api` is a function that makes the app's FastAPI, as `module:name`, for `duly api`; without one
    it serves the library's routers alone. `migrations` is the app's package of Alembic migrations,
    which `duly migrate` runs after the library's own; `tables` are what `--grant-to` gives rights
    on, besides the library's.
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
    ) -> None:
        self.kinds = kinds
        self._open_kinds = open_kinds or Kinds()
        self._needed_scope = needed_scope
        self._examples = examples or {}
        self.settings = settings
        self.check = check
        self.tables = tables or MetaData()
        self._migrations = migrations
        self._actors = actors
        self._api = api

    def actors(self) -> Actors:
        """What the worker does. Raises ImportError, AttributeError or TypeError."""
        where = self.settings().actors or self._actors
        found = where if isinstance(where, Actors) else _named(where)
        if not isinstance(found, Actors):
            raise TypeError(f"{where} is no outbox.Actors")
        return found

    def migrations(self) -> Path | None:
        """The folder of the app's Alembic migrations. Raises ImportError where it names none."""
        if self._migrations is None:
            return None
        return Path(*import_module(self._migrations).__path__)

    def api(self) -> FastAPI:
        """What `duly api` serves. Raises ImportError or AttributeError."""
        if self._api:
            found: FastAPI = _named(self._api)()
            return found
        from outbox.http.app import create_app

        largest = self.settings().largest_body
        return create_app(self.router(), lifespan=self.lifespan, largest_body=largest)

    def router(self) -> APIRouter:
        """Jobs, dead letters, overdue jobs and health, for the app's own FastAPI."""
        from outbox.http.router import create_router

        return create_router(self._open_kinds, self._needed_scope, self._examples)

    def lifespan(self, app: FastAPI) -> AbstractAsyncContextManager[None]:
        """What the routers need while the app runs: `FastAPI(lifespan=duly.lifespan)`."""
        from outbox.http.platform import running

        return running(app, self.kinds, self.settings())


def _named(reference: str) -> Any:
    """What `module:name` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)

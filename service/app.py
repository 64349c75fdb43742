"""The HTTP application that `duly api` serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import chain

from fastapi import FastAPI

from outbox.http.app import create_app as create_open_app
from outbox.http.platform import running
from service.documents.store import Documents
from service.jobs import duly
from service.settings import Settings, settings
from service.subjects import SUBJECTS


def create_app(given: Settings | None = None) -> FastAPI:
    """The application. It uses the process's settings unless others are given."""
    own = given or settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.documents = Documents(own.documents_url, own.document_keys)
        app.state.stripe_webhook_secrets = [
            each.get_secret_value() for each in own.stripe_webhook_secrets
        ]
        async with running(app, duly.setup(own)):
            yield

    routes = [import_module(each.routes) for each in SUBJECTS if each.routes]
    answers = [getattr(each, "ANSWERS", {}) for each in routes]
    return create_open_app(
        *(each.router for each in routes),
        duly.router(),
        lifespan=lifespan,
        largest_body=own.largest_body,
        uploads=chain.from_iterable(getattr(each, "UPLOADS", ()) for each in routes),
        answers=dict(chain.from_iterable(each.items() for each in answers)),
    )

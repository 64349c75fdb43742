"""The HTTP application that `duly api` serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from outbox.http.app import create_app as create_open_app
from outbox.http.platform import running
from service.answer_examples import ANSWERS
from service.documents import Documents
from service.invoices.routes import router as invoices
from service.jobs import duly
from service.settings import Settings, settings
from service.webhooks.routes import router as webhook_endpoints


def create_app(given: Settings | None = None) -> FastAPI:
    """The application. It uses the process's settings unless others are given."""
    own = given or settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.documents = Documents(own.documents_url)
        async with running(app, duly.kinds, own):
            yield

    return create_open_app(
        *(invoices, webhook_endpoints, duly.router()),
        lifespan=lifespan,
        largest_body=own.largest_body,
        answers=ANSWERS,
    )

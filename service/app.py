"""The HTTP service: everything that `duly api` serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from outbox.nudge import Nudge
from service import dead_letters, health, invoices, jobs, overdue_jobs, webhook_endpoints
from service.body_limit import BodyLimit
from service.database import create_engine, create_sessions
from service.documentation import DocumentedApi
from service.documents import Documents
from service.head import HeadAsGet
from service.problem_handlers import handle_problems
from service.request_log import RequestLog
from service.settings import Settings
from service.stopping import Stopping, StopRequests
from service.verified_keys import VerifiedKeys


def create_app(settings: Settings) -> FastAPI:
    """The application. Starts without any server; what needs one answers 503 until it is there."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(settings.database_url)
        app.state.settings = settings
        app.state.sessions = create_sessions(engine)
        app.state.keys = VerifiedKeys(engine)
        app.state.nudge = Nudge(settings.database_url)
        app.state.readiness = health.Readiness(engine, settings.amqp_url)
        app.state.documents = Documents(settings.documents_url)
        yield
        await app.state.nudge.close()
        await engine.dispose()

    app = DocumentedApi(title="Duly", version="1", lifespan=lifespan, redirect_slashes=False)
    for module in (invoices, webhook_endpoints, jobs, overdue_jobs, dead_letters, health):
        app.include_router(module.router)
    handle_problems(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, largest=settings.largest_body)
    app.state.stopping = Stopping()
    app.add_middleware(StopRequests, stopping=app.state.stopping)
    app.add_middleware(RequestLog)  # added last, so outermost: it logs what BodyLimit refuses
    return app

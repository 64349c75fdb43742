"""The app object of this service: its jobs, and where everything else of it is."""

from typing import Any

from outbox import Duly, Work
from outbox.operations.api_keys import Scope
from service.mail.kinds import SendEmail
from service.settings import settings
from service.setup_checks import CHECKS
from service.subjects import KINDS, NEW_JOBS, OPEN_TO_CLIENTS, SCHEDULES, TABLES


def _needed_scope(work: Work[Any]) -> Scope | None:
    """Whoever puts documents into a mail must be allowed to read them."""
    has_documents = isinstance(work.payload, SendEmail) and work.payload.has_documents
    return Scope.READ if has_documents else None


def _check() -> None:
    """Only an API or a worker uses the document store: other commands do not import it."""
    from service.documents.store import check

    check()


duly = Duly(
    KINDS,
    actors="actors:ACTORS",
    open_kinds=OPEN_TO_CLIENTS,
    needed_scope=_needed_scope,
    examples=NEW_JOBS,
    schedules=SCHEDULES,
    settings=settings,
    check=_check,
    api="service.app:create_app",
    migrations="migrations",
    tables=TABLES,
    checks=CHECKS,
)

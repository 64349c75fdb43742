"""The handlers behind the link with which a receiver unsubscribes. They need no API key."""

from html import escape
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.requests.strict_route import StrictRoute
from service.mail import suppressions, unsubscribe
from service.mail.models import Email
from service.mail.routes.schemas import Unsubscribed
from service.own_settings import OwnSettings
from service.settings import Settings

Token = Annotated[str, Path(pattern=unsubscribe.FORM)]
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Unsubscribe</title>
<body style="font:18px/1.5 sans-serif;max-width:32em;margin:4em auto;padding:0 1em">
<form method="post"><p>Do you want no more mails of “{category}”?</p>
<button style="font:inherit;padding:.5em 1em">Unsubscribe</button></form>
"""

router = APIRouter(
    prefix="/v1/unsubscribe",
    tags=["Mail"],
    route_class=StrictRoute,
    responses=problem_docs(types.NOT_FOUND, types.INVALID, types.INTERNAL, types.UNAVAILABLE),
)


@router.get(
    "/{token}",
    summary="Ask whether to unsubscribe",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"examples": {"a page": {"value": PAGE}}}}}},
)
async def ask_to_unsubscribe(token: Token, platform: OnPlatform, own: OwnSettings) -> HTMLResponse:
    """A page with a button. It changes nothing: programs that look for malware follow links."""
    async with platform.sessions() as session:
        email = await _named(session, token, own)
    return HTMLResponse(PAGE.format(category=escape(_category(email))))


@router.post("/{token}", summary="Unsubscribe", responses=success_doc(200, "Unsubscribed"))
async def unsubscribe_receiver(
    token: Token, platform: OnPlatform, own: OwnSettings
) -> Unsubscribed:
    """The receiver of the mail gets no more of its category, as in RFC 8058. May be repeated.

    Whoever has the link needs no API key. The answer means that it has committed.
    """
    async with platform.sessions() as session, session.begin():
        email = await _named(session, token, own)
        gone = (email.recipient, _category(email), "unsubscribe", email.id)
        await session.run_sync(suppressions.add, *gone)
    return Unsubscribed(category=_category(email))


async def _named(session: AsyncSession, token: str, own: Settings) -> Email:
    named = _email_id(token, own)
    email = await session.get(Email, named) if named else None
    if email is None:
        raise Problem(types.NOT_FOUND, "this link was not made here")
    return email


def _email_id(token: str, own: Settings) -> UUID | None:
    if own.mail_secret is None:
        return None
    return unsubscribe.email_id(token, own.mail_secret.get_secret_value())


def _category(email: Email) -> str:
    return email.category or suppressions.ALL

"""Handlers for mails: submit one, see what became of it; and for the templates."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from sqlalchemy import select
from uuid_utils.compat import uuid7

from outbox import Work, submit
from outbox.http.auth.record import WhyInQuery, record_look
from outbox.http.auth.scopes import Reader, Submitter, require_scope
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import (
    ANY_REQUEST,
    POST_REQUEST,
    Problem,
    field_error,
    field_errors,
    invalid,
)
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.operations.api_keys import Scope
from service.files import keeping
from service.files.keeping import FileMissing
from service.mail import emails, suppressions
from service.mail.examples import NEW_EMAILS
from service.mail.kinds import SEND_EMAIL, SEND_EMAIL_ONCE, AttachedFile, SendEmail
from service.mail.models import Email
from service.mail.routes.schemas import (
    EmailPage,
    EmailShown,
    NewEmail,
    State,
    TemplateList,
    TemplateShown,
)
from service.mail.templates import plain_text, rendering
from service.mail.templates.rendering import BadData, NoSuchTemplate
from service.own_settings import OwnSettings
from service.settings import Settings

SAME = ("to", "inline", "attachments", "reply_to", "category", "list_unsubscribe")
"""Fields of a new mail that are those of its job."""

router = APIRouter(
    prefix="/v1",
    tags=["Mail"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


@router.post(
    "/emails",
    status_code=202,
    summary="Send a mail",
    response_description="The mail is stored and will be sent, unless its receiver is suppressed",
    responses=success_doc(202, "Email", "Location") | problem_docs(*POST_REQUEST),
)
async def create_email(
    new: Annotated[NewEmail, Body(openapi_examples=NEW_EMAILS)],
    tx: Tx,
    by: Submitter,
    own: OwnSettings,
    response: Response,
) -> EmailShown:
    """Store a mail and the job that sends it; both have the same id, as has its Message-ID.

    A template is filled in now. To a suppressed address no job is made, and the mail's state says
    so at once. To attach documents, a key needs the scope `read`, as it does to download them.
    """
    work = await run_in_threadpool(_work, new)
    if new.list_unsubscribe:
        _check_unsubscribing(own)
    if work.payload.has_documents:
        require_scope(by, Scope.READ)
        await _hold_files(tx, work.payload)
    if await tx.run_sync(suppressions.find, new.to, new.category):
        email_id, state = uuid7(), "suppressed"
    else:
        email_id, state = submit(tx, work, by=str(by)).id, "queued"
    await tx.run_sync(emails.add, email_id, new.to, new.category, state)
    await record_look(tx, by, [f"email:{email_id}"], None)
    response.headers["Location"] = f"/v1/emails/{email_id}"
    return EmailShown.of(await tx.get_one(Email, email_id), by)


@router.get(
    "/emails",
    summary="List mails",
    responses=success_doc(200, "EmailPage") | problem_docs(types.BAD_CURSOR),
)
async def list_emails(
    tx: Tx,
    by: Reader,
    state: State | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    why: WhyInQuery = None,
) -> EmailPage:
    """Mails, newest first: for example those of which nobody knows whether they were sent."""
    query = select(Email).order_by(Email.id.desc()).limit(limit + 1)
    if state is not None:
        query = query.where(Email.state == state)
    if before := cursors.read(cursor, "emails", UUID):
        query = query.where(Email.id < before)
    rows, next_cursor = cursors.page((await tx.scalars(query)).all(), "emails", limit)
    await record_look(tx, by, (f"email:{row.id}" for row in rows), why)
    return EmailPage(emails=[EmailShown.of(row, by) for row in rows], next_cursor=next_cursor)


@router.get(
    "/emails/{email_id}",
    summary="Get a mail",
    responses=success_doc(200, "Email") | problem_docs(types.NOT_FOUND),
)
async def get_email(email_id: UUID, tx: Tx, by: Reader, why: WhyInQuery = None) -> EmailShown:
    """A mail, and what became of it."""
    email = await tx.get(Email, email_id)
    if email is None:
        raise Problem(types.NOT_FOUND, f"there is no mail {email_id}")
    await record_look(tx, by, [f"email:{email_id}"], why)
    return EmailShown.of(email, by)


@router.get("/mail-templates", summary="List templates", responses=success_doc(200, "Templates"))
async def list_mail_templates(_: Reader) -> TemplateList:
    """The templates of mails, and the data that each needs."""
    names = rendering.names()
    shown = [TemplateShown(name=each, fields=list(rendering.fields(each))) for each in names]
    return TemplateList(mail_templates=shown)


def _check_unsubscribing(own: Settings) -> None:
    if not (own.mail_unsubscribe_url and own.mail_secret):
        said = "is not set up here: it needs DULY_MAIL_UNSUBSCRIBE_URL and DULY_MAIL_SECRET"
        raise invalid([field_error(["list_unsubscribe"], said)])


async def _hold_files(tx: Tx, mail: SendEmail) -> None:
    """Have no file deleted before the job is there, which keeps it. Raises `Problem` 422."""
    for each in mail.documents:
        if isinstance(each, AttachedFile):
            try:
                await tx.run_sync(keeping.hold, each.file)
            except FileMissing as error:
                raise invalid([field_error(["attachments"], str(error))]) from None


def _work(new: NewEmail) -> Work[SendEmail]:
    """The job's work. Raises `Problem` 422 for what cannot be a mail."""
    kind = SEND_EMAIL if new.when_uncertain == "again" else SEND_EMAIL_ONCE
    written = {name: getattr(new, name) for name in SAME} | _content(new)
    try:
        return kind.parse(written)
    except ValidationError as error:
        raise invalid(field_errors(error.errors(include_url=False))) from None


def _content(new: NewEmail) -> dict[str, str | None]:
    if new.template is None:
        text = plain_text.of(new.html or "") if new.text is None else new.text
        return {"subject": new.subject, "text": text, "html": new.html}
    try:
        made = rendering.render(new.template, new.data)
    except NoSuchTemplate:
        raise invalid([field_error(["template"], "there is no such template")]) from None
    except BadData as error:
        raise invalid([field_error(["data"], str(error))]) from None
    return {"subject": made.subject, "text": made.text, "html": made.html}

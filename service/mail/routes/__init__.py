"""The HTTP API of mail: mails and templates, the suppression list, bounces, and unsubscribing."""

from fastapi import APIRouter

from service.mail.routes import bounces, emails, suppressions, unsubscribe
from service.mail.routes.answer_examples import ANSWERS as ANSWERS

router = APIRouter()
for each in (emails, suppressions, bounces, unsubscribe):
    router.include_router(each.router)

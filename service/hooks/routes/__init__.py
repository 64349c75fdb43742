"""Routes of webhooks in: signed_route, receive (for senders); sources, events (for people)."""

from fastapi import APIRouter

from service.hooks.answer_examples import ANSWERS as ANSWERS
from service.hooks.routes import events, receive, sources

router = APIRouter()
for each in (receive.stripe, receive.standard, sources.router, events.router):
    router.include_router(each)

"""Webhooks, as the service's list of subjects has them."""

from outbox import Kinds
from service.subject import Subject
from service.webhooks.examples import NEW_JOBS
from service.webhooks.kinds import DELIVER_WEBHOOK
from service.webhooks.models import WebhookEndpoint

WEBHOOKS = Subject(
    kinds=Kinds(DELIVER_WEBHOOK),
    open_kinds=Kinds(DELIVER_WEBHOOK),
    examples=NEW_JOBS,
    models=(WebhookEndpoint,),
    actors="actors.webhooks",
    routes="service.webhooks.routes",
)

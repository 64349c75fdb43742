"""Webhooks, as the service's list of subjects has them."""

from outbox import Kinds, Schedule
from service.subject import Subject
from service.webhooks.examples import NEW_JOBS
from service.webhooks.kinds import (
    DELIVER_IN_ORDER,
    DELIVER_WEBHOOK,
    PRUNE_DELIVERIES,
    TEST_ENDPOINT,
)
from service.webhooks.models import WebhookDelivery, WebhookEndpoint

WEBHOOKS = Subject(
    kinds=Kinds(DELIVER_WEBHOOK, DELIVER_IN_ORDER, TEST_ENDPOINT, PRUNE_DELIVERIES),
    open_kinds=Kinds(DELIVER_WEBHOOK),
    examples=NEW_JOBS,
    models=(WebhookEndpoint, WebhookDelivery),
    schedules=(Schedule("webhooks.prune", "17 * * * *", PRUNE_DELIVERIES()),),
    actors="actors.webhooks",
    routes="service.webhooks.routes",
)

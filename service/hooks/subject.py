"""Webhooks in, as the service's list of subjects has them."""

from outbox import Kinds, Schedule
from service.hooks.kinds import PRUNE_HOOK_EVENTS
from service.hooks.models import HookEvent, HookSource
from service.subject import Subject

HOOKS = Subject(
    kinds=Kinds(PRUNE_HOOK_EVENTS),
    models=(HookSource, HookEvent),
    schedules=(Schedule("hooks.prune", "17 3 * * *", PRUNE_HOOK_EVENTS()),),
    actors="actors.hooks",
    routes="service.hooks.routes",
)

"""Mail, as the service's list of subjects has it."""

from outbox import Kinds, Schedule
from service.mail.examples import NEW_JOBS
from service.mail.kinds import PRUNE_EMAILS, SEND_EMAIL, SEND_EMAIL_ONCE
from service.mail.models import Email, Suppression
from service.subject import Subject

MAIL = Subject(
    kinds=Kinds(SEND_EMAIL, SEND_EMAIL_ONCE, PRUNE_EMAILS),
    open_kinds=Kinds(SEND_EMAIL),
    examples=NEW_JOBS,
    models=(Email, Suppression),
    schedules=(Schedule("emails.prune", "47 3 * * *", PRUNE_EMAILS()),),
    actors="actors.mail",
    routes="service.mail.routes",
)

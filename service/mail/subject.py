"""Mail, as the service's list of subjects has it."""

from outbox import Kinds
from service.mail.examples import NEW_JOBS
from service.mail.kinds import SEND_EMAIL
from service.subject import Subject

MAIL = Subject(
    kinds=Kinds(SEND_EMAIL),
    open_kinds=Kinds(SEND_EMAIL),
    examples=NEW_JOBS,
    actors="actors.mail",
)

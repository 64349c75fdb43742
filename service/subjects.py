"""The list of the service's subjects: everything else is made from it."""

from itertools import chain

from outbox import Kinds
from service.base import Base
from service.charging.subject import CHARGING
from service.closings.subject import CLOSINGS
from service.files.subject import FILES
from service.hooks.subject import HOOKS
from service.images.subject import IMAGES
from service.imports.subject import IMPORTS
from service.invoices.subject import INVOICES
from service.mail.subject import MAIL
from service.reports.subject import REPORTS
from service.webhooks.subject import WEBHOOKS

SUBJECTS = (
    CHARGING,
    CLOSINGS,
    FILES,
    HOOKS,
    IMAGES,
    IMPORTS,
    INVOICES,
    MAIL,
    REPORTS,
    WEBHOOKS,
)

KINDS = Kinds(*chain.from_iterable(each.kinds.values() for each in SUBJECTS))
OPEN_TO_CLIENTS = Kinds(*chain.from_iterable(each.open_kinds.values() for each in SUBJECTS))
SCHEDULES = tuple(chain.from_iterable(each.schedules for each in SUBJECTS))
NEW_JOBS = {name: job for each in SUBJECTS for name, job in each.examples.items()}
TABLES = Base.metadata
"""All tables of the service: the subjects' models are imported here."""

"""The work of the service's jobs, one module for each subject.

Read invoices with pdf; mail with mail_message and smtp; webhooks with addresses, post, retry_after.
"""

from importlib import import_module

from outbox import Actors
from service.subjects import SUBJECTS

ACTORS = Actors(actor for each in SUBJECTS for actor in import_module(each.actors).ACTORS)

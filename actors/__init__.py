"""The work of the service's jobs, one module for each subject.

What several need, or what would make a module long, is in a folder: delivering, drawing,
imaging, importing, mailing, paying, reporting, tables, web.
"""

from importlib import import_module

from outbox import Actors
from service.subjects import SUBJECTS

ACTORS = Actors(actor for each in SUBJECTS for actor in import_module(each.actors).ACTORS)

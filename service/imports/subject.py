"""Imports, as the service's list of subjects has them."""

from outbox import Kinds, Schedule
from service.imports.kinds import FINISH_IMPORT, LOAD_CHUNK, RUN_IMPORT, SWEEP_IMPORTS
from service.imports.models import Charge, Import, ImportChunk, ImportPart
from service.subject import Subject

IMPORTS = Subject(
    kinds=Kinds(RUN_IMPORT, LOAD_CHUNK, FINISH_IMPORT, SWEEP_IMPORTS),
    models=(Import, ImportPart, ImportChunk, Charge),
    schedules=(Schedule("imports.sweep", "37 * * * *", SWEEP_IMPORTS()),),
    actors="actors.imports",
    routes="service.imports.routes",
)

"""Files, as the service's list of subjects has them."""

from outbox import Kinds, Schedule
from service.files.kinds import SWEEP_FILES
from service.files.models import File, FileUse
from service.subject import Subject

FILES = Subject(
    kinds=Kinds(SWEEP_FILES),
    schedules=(Schedule("files.sweep", "17 * * * *", SWEEP_FILES()),),
    models=(File, FileUse),
    actors="actors.files",
    routes="service.files.routes",
)

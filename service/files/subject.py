"""Files, as the service's list of subjects has them."""

from outbox import Kinds
from service.files.kinds import HOURLY, SWEEP_FILES
from service.files.models import File, FileUse
from service.subject import Subject

FILES = Subject(
    kinds=Kinds(SWEEP_FILES),
    schedules=(HOURLY,),
    models=(File, FileUse),
    actors="actors.files",
)

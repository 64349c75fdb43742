"""An app whose code declares a schedule."""

from pydantic import BaseModel

from outbox import Actors, Duly, Kind, Kinds, Schedule


class Nothing(BaseModel):
    """What the job needs."""


SWEEP = Kind("test.sweep", Nothing)
duly = Duly(Kinds(SWEEP), Actors([]), schedules=[Schedule("sweep.yearly", "0 0 1 1 *", SWEEP())])

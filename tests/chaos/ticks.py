"""What became of the ticks of schedules: the ticks of the time against what was made of each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SECOND = timedelta(seconds=1)
PAUSED = "the schedule was paused"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick as the system lists it, with what became of its job."""

    due_at: datetime
    outcome: str
    why: str | None = None
    job: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A schedule with all of its ticks. It was declared at `since`, and paused at `until`."""

    name: str
    seconds: int
    since: datetime | None
    until: datetime | None
    ticks: Sequence[Tick]
    is_each_made: bool = False
    """Whether every tick has to make a job until it is paused."""

    def due(self) -> Iterator[datetime]:
        """The ticks that its time had, counted here and not by the system."""
        if self.since and self.until:
            step = self.seconds * SECOND
            tick = self.since - (self.since - EPOCH) % step + step
            while tick <= self.until:
                yield tick
                tick += step


def key(job: str) -> str:
    """What the job of a tick stores."""
    return f"tick-{job}"


def count(beats: Iterable[Beat], outcome: str) -> int:
    """How many ticks ended so."""
    return sum(tick.outcome == outcome for beat in beats for tick in beat.ticks)


def wrong(beats: Sequence[Beat], stored: Mapping[str, int]) -> list[str]:
    """What is wrong with the ticks; a job that is stored is of one tick."""
    jobs = Counter(tick.job for beat in beats for tick in beat.ticks if tick.job)
    told = {key(job) for job in jobs}
    return [
        *(fault for beat in beats for fault in _faults(beat, stored)),
        *(f"{job} is of two ticks" for job, times in jobs.items() if times > 1),
        *(
            f"{each} is of no tick"
            for each in sorted(stored)
            if _is_tick(each) and each not in told
        ),
    ]


def _is_tick(stored: str) -> bool:
    return stored.startswith(key(""))


def _faults(beat: Beat, stored: Mapping[str, int]) -> Iterator[str]:
    if not (beat.since and beat.until):
        yield f"{beat.name} was not declared, or not paused"
    on_record = {tick.due_at for tick in beat.ticks}
    yield from (f"{beat.name} {due}: not on record" for due in beat.due() if due not in on_record)
    for tick in beat.ticks:
        if why := _fault(beat, tick, stored):
            yield f"{beat.name} {tick.due_at}: {why}"


def _fault(beat: Beat, tick: Tick, stored: Mapping[str, int]) -> str | None:
    if (tick.due_at - EPOCH) % (beat.seconds * SECOND):
        return "no tick of this schedule"
    if tick.outcome == "skipped":
        return _misjudged(beat, tick)
    if tick.outcome != "made" or not tick.job:
        return f"{tick.outcome}, with the job {tick.job}"
    if tick.state != "succeeded":
        return f"its job is {tick.state}"
    if (times := stored.get(key(tick.job), 0)) != 1:
        return f"its job ran to its end {times} times"
    return None


def _misjudged(beat: Beat, tick: Tick) -> str | None:
    if not tick.why or tick.job:
        return "skipped, without why or with a job"
    if beat.is_each_made and tick.why != PAUSED:
        return f"skipped: {tick.why}"
    return None

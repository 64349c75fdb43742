"""When a cron expression's ticks are due in a time zone, with the rules of Debian's cron for DST.

cronsim reads the expression and finds the local times; what instants these are is decided here
(docs/decisions/0042-what-a-tick-is.md says why).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LONGEST = 200
"""Characters in an expression."""
FIELDS = (5, 6)
SECOND = timedelta(seconds=1)
EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - a local time
SAMPLE = 2_000
"""How many ticks are compared to find the smallest interval: of each minute, more than a day."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, or of six with seconds first, in a time zone.

    Raises ValueError for what cannot be read, an unknown zone, and what is never due.
    """

    expression: str
    zone: str = "UTC"
    _follows_real_time: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = self.expression.split()
        if len(parts) not in FIELDS or len(self.expression) > LONGEST:
            raise ValueError(
                f"cron: needs five fields (minute, hour, day, month, weekday), or six with seconds "
                f"first, in up to {LONGEST} characters"
            )
        time_fields = parts[: len(parts) - 3]
        object.__setattr__(
            self, "_follows_real_time", any(each.startswith("*") for each in time_fields)
        )
        _zone(self.zone)
        try:
            is_ever_due = next(self._local_times(EPOCH), None)
        except CronSimError as error:
            raise ValueError(f"cron: {str(error).lower()} in {self.expression!r}") from None
        if is_ever_due is None:
            raise ValueError(f"cron: {self.expression!r} is never due")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The ticks after this moment, in order, each once, in UTC.

        An expression with `*` at the beginning of its hour, minute or second follows real time. Any
        other means fixed times of day: one in a gap of DST is due at the gap's end, and one that
        comes twice is due the first time. Ends before the year 9999, or after 50 years without one.
        """
        moment = moment.astimezone(UTC).replace(microsecond=0)
        return self._in_real_time(moment) if self._follows_real_time else self._at_fixed(moment)

    def smallest_interval(self) -> timedelta:
        """The shortest time between two ticks, of a year's or of the first `SAMPLE`."""
        last, smallest = None, timedelta.max
        for number, tick in enumerate(self.after(EPOCH.replace(tzinfo=UTC))):
            if last is not None:
                smallest = min(smallest, tick - last)
            if number >= SAMPLE or (number >= 2 and tick.year > EPOCH.year):
                break
            last = tick
        return smallest

    def _at_fixed(self, moment: datetime) -> Iterator[datetime]:
        zone = _zone(self.zone)
        for local in self._local_times(moment.astimezone(zone).replace(tzinfo=None)):
            tick = _instant(local, zone)
            if tick > moment:
                yield tick
                moment = tick

    def _in_real_time(self, moment: datetime) -> Iterator[datetime]:
        zone = _zone(self.zone)
        while True:
            offset = _offset(moment + SECOND, zone)
            for local in self._local_times(moment.replace(tzinfo=None) + offset):
                tick = (local - offset).replace(tzinfo=UTC)
                if _offset(tick, zone) != offset:
                    moment = _change(moment, tick, zone) - SECOND
                    break
                yield tick
                moment = tick
            else:
                return

    def _local_times(self, after: datetime) -> CronSim:
        """The local times, without a zone, that match the expression."""
        return CronSim(self.expression, after)


@cache
def _zone(name: str) -> ZoneInfo:
    """Raises ValueError if this machine does not know the zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"zone: {name!r} is no time zone such as Europe/Berlin") from None


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """When it is this local time: the first time if twice; the end of the gap if never."""
    first = local.replace(tzinfo=zone).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first if first <= second else _change(second, first, zone)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second after `before` that has another offset than `before`; `after` has one."""
    offset = _offset(before + SECOND, zone)
    while after - before > SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after

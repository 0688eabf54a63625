"""Cron expressions: when one is due, by the clock on the wall of a time zone."""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pushline.errors import AppError

MINUTE = timedelta(minutes=1)


class Cron:
    """Five fields, or six with the seconds first; `tz` None is the machine's local time.

    Where both the day of the month and the day of the week are restricted, either is enough, as
    in cron(8). When clocks are put forward, what would have been due in the hour that is left out
    is due at its end, once. When they are put back, the hours that an expression names come once;
    with every hour (`*`) the repeated one counts like any other. Raises AppError.
    """

    def __init__(self, expression: str, tz: tzinfo | str | None = None) -> None:
        now = datetime.now(UTC)
        self._names_hours = len(_parse(expression, now).hours) < 24
        # CronSim has rules of its own for five fields where clocks are put forward or back.
        self._expression = " ".join(["0", *expression.split()][-6:])
        self._zone = _zone(tz)
        if self.next(now.timestamp()) == math.inf:
            raise _wrong(expression, "no such day in 50 years")

    def next(self, now: float) -> float:
        """The first due time after `now`, in seconds since the epoch; infinity if there is none."""
        start = datetime.fromtimestamp(math.floor(now), self._zone)
        if self._names_hours:
            start = start.replace(tzinfo=None, fold=0)
        for due in CronSim(self._expression, start):
            at = _real(due.replace(tzinfo=self._zone)).timestamp()
            if at > now:
                return at
        return math.inf


class Local(tzinfo):
    """The machine's local time, whatever its rules: TZ or /etc/localtime."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        local = dt.replace(tzinfo=UTC).astimezone()
        first = local.replace(tzinfo=self, fold=0)
        return first if first.utcoffset() == local.utcoffset() else first.replace(fold=1)


def _zone(tz: tzinfo | str | None) -> tzinfo:
    if tz is None:
        return Local()
    if isinstance(tz, tzinfo):
        return tz
    try:
        return ZoneInfo(tz)
    except (LookupError, ValueError, OSError, TypeError) as error:
        raise AppError(
            f"unknown time zone {tz!r}; it is a zoneinfo.ZoneInfo or a name like Europe/Berlin"
        ) from error


def _parse(expression: str, start: datetime) -> CronSim:
    if not isinstance(expression, str):
        raise _wrong(expression, "not a string")
    try:
        return CronSim(expression, start)
    except (CronSimError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise _wrong(expression, str(error).lower()) from error


def _wrong(expression: object, why: str) -> AppError:
    return AppError(
        f"cron expression {expression!r}: {why}; it has five fields (minute, hour, day of month, "
        'month, day of week), or six with the seconds first: "*/5 8-18 * * MON-FRI"'
    )


def _real(due: datetime) -> datetime:
    """The end of the gap for a time that the zone's clocks leave out."""
    while due.astimezone(UTC).astimezone(due.tzinfo) != due:
        due += MINUTE
    return due

"""Transforms between points in time: zone, clock, day, form, precision, and seconds since the epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:([T ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d|[+-]\d\d)?)?"
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z)?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?")
_HTTP = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|[+-]\d{4})")
_EPOCH = datetime(1970, 1, 1)
_LONGEST = 40
"""Characters of the longest of those forms, and some."""

QUARTER = timedelta(minutes=15)
"""What offsets from UTC are multiples of."""
FURTHEST = timedelta(hours=14)
"""The largest offset from UTC in use (Kiritimati)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as one text gives it."""

    wall: datetime
    """What the clock shows, without a zone."""
    offset: timedelta | None
    """Of its zone from UTC; None where it names none."""
    form: str
    """How it is written: ``YYYY-MM-DDThh:mm:ssZ``."""
    timed: bool
    """Whether it has a time of day."""

    @property
    def instant(self) -> timedelta | None:
        """Since 1970; not a datetime, which has none for midnight of the year 1 in Berlin, a common word for never."""
        return None if self.offset is None else self.wall - _EPOCH - self.offset


def moments(text: str) -> tuple[Moment, ...]:
    """What the text can mean as a point in time: nothing, one, or two where day and month cannot be told apart."""
    if not 8 <= len(text) <= _LONGEST or not text[-1:].isascii():
        return ()
    try:
        return tuple(_readings(text))
    except (ValueError, OverflowError):  # the 31st of February
        return ()


def _readings(text: str) -> Iterator[Moment]:
    if found := _ISO.fullmatch(text):
        year, month, day, mark, hour, minute, second, fraction, zone = found.groups()
        wall = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        wall += timedelta(microseconds=int((fraction or "").ljust(6, "0")[:6]))
        form = "YYYY-MM-DD"
        if mark:
            form += f"{mark}hh:mm" + (":ss" if second else "") + (f".{'f' * len(fraction)}" if fraction else "")
            form += re.sub(r"\d\d", "hh", zone or "", count=1).replace("-", "+")
            form = re.sub(r"\d\d", "mm", form)
        yield Moment(wall, _offset(zone), form, bool(mark))
    elif found := _COMPACT.fullmatch(text):
        year, month, day, hour, minute, second, zone = found.groups()
        wall = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
        form = "YYYYMMDD" + ("Thhmmss" if hour else "") + (zone or "")
        yield Moment(wall, _offset(zone), form, bool(hour))
    elif found := _DAY_FIRST.fullmatch(text):
        first, mark, then, year, hour, minute, second = found.groups()
        time = (int(hour or 0), int(minute or 0), int(second or 0))
        clock = (" hh:mm" + (":ss" if second else "")) if hour else ""
        for day, month, order in ((first, then, ("DD", "MM")), (then, first, ("MM", "DD"))):
            if int(month) <= 12 and not (mark == "." and order[0] == "MM"):
                form = f"{order[0]}{mark}{order[1]}{mark}YYYY{clock}"
                yield Moment(datetime(int(year), int(month), int(day), *time), None, form, bool(hour))
    elif _HTTP.fullmatch(text):
        read = parsedate_to_datetime(text)
        yield Moment(read.replace(tzinfo=None), read.utcoffset() or timedelta(0), "Day, DD Mon YYYY hh:mm:ss GMT", True)


def _offset(zone: str | None) -> timedelta | None:
    if zone is None:
        return None
    if zone == "Z":
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    timezone(offset)  # raises ValueError from a day on
    return -offset if zone[0] == "-" else offset


def time_transforms(legacy: str, candidate: str) -> Iterator[str]:
    """Every transform of time that makes `candidate` out of `legacy`, two different texts."""
    ours = moments(legacy)
    if not ours:
        return
    found: dict[str, None] = {}
    for one in ours:
        for other in moments(candidate):
            if transform := _transform(one, other):
                found[transform] = None
    yield from found


def _transform(a: Moment, b: Moment) -> str:
    if a.timed is not b.timed:
        if a.wall.date() == b.wall.date():
            return "time_dropped" if a.timed else ("time_added" if b.wall.time() != datetime.min.time() else "midnight")
        return ""
    apart = b.wall - a.wall
    if a.offset is None or b.offset is None:
        if a.offset is b.offset:
            return _within_zone(a, b, apart)
        if not apart:
            return "zone_dropped" if b.offset is None else "zone_added"
        known = a.offset if a.offset is not None else b.offset
        assert known is not None  # one of them has a zone
        # The zone was taken off by way of UTC, or put on as if the text had been UTC.
        if apart == (-known if a.offset is not None else known):
            return "zone_dropped_in_utc" if b.offset is None else "zone_added_to_utc"
        return ""
    if a.instant == b.instant:
        return "zone" if a.offset != b.offset else f"date_form:{a.form}>{b.form}"
    if not apart and a.offset != b.offset:
        return "zone_relabelled"
    return _within_zone(a, b, apart) if a.offset == b.offset else ""


def _within_zone(a: Moment, b: Moment, apart: timedelta) -> str:
    """The same zone, or none on either side."""
    if not apart:
        return f"date_form:{a.form}>{b.form}" if a.form != b.form else ""
    if a.form != b.form:
        # Only fractions of a second may go, and only by being cut off or rounded.
        return "fraction_dropped" if abs(apart) < timedelta(seconds=1) and ".f" in a.form + b.form else ""
    if abs(apart) == timedelta(days=1):
        return f"day:{apart.days:+d}"
    if a.timed and abs(apart) <= FURTHEST and not apart % QUARTER:
        return f"clock:{int(apart.total_seconds()) // 60:+d}"
    return ""


def epoch_transforms(legacy: object, candidate: object) -> Iterator[str]:
    """Whether one is a text that names a moment, and the other the seconds or milliseconds since 1970 of the same."""
    for text, number, name in ((legacy, candidate, "epoch"), (candidate, legacy, "from_epoch")):
        if isinstance(text, str) and isinstance(number, int | Decimal) and not isinstance(number, bool):
            for moment in moments(text):
                seconds = _since_epoch(moment)
                if number == seconds or (isinstance(number, int) and number == int(seconds)):
                    yield f"{name}:s"
                if number == seconds * 1000:
                    yield f"{name}:ms"


def _since_epoch(moment: Moment) -> Decimal:
    """Seconds; a text without a zone is read as UTC."""
    instant = moment.instant
    passed = instant if instant is not None else moment.wall - _EPOCH
    return Decimal(passed.days * 86_400 + passed.seconds) + Decimal(passed.microseconds) / 1_000_000

"""When a rollout may give its candidate more traffic: ``Mon-Fri 09-16 Europe/Berlin``. Time is an argument.

Hours are what the clock on the wall shows there, so they move with summer time: an hour that a day does not have is
never open, one that it has twice is open twice. Zones are those of the machine (the IANA database, by zoneinfo).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WRITE = "write it like Mon-Fri 09-16 Europe/Berlin, or Mon,Wed 22:30-02 UTC"
_PATTERN = r"([A-Za-z,-]{3,40}) +([0-9]{2}(?::[0-9]{2})?)-([0-9]{2}(?::[0-9]{2})?) +([A-Za-z0-9_+/-]{1,64})"
_DAY = 24 * 60
_AHEAD = 15
"""Days that are searched for the next opening: each weekday comes twice, for its hour may be missing once."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Some hours of some days of the week."""

    days: tuple[int, ...]
    """On which it begins, 0 is Monday; ascending."""
    begin: int
    """Minutes since midnight."""
    end: int
    """Minutes since the midnight before `begin`; past 1,440 where it goes on into the next day."""
    zone: str
    """Name of the zone whose clock is meant."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(parse, serialization=write)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> dict[str, object]:
        return {"type": "string", "pattern": f"^{_PATTERN}$", "examples": ["Mon-Fri 09-16 Europe/Berlin"]}

    def __str__(self) -> str:
        """As a rules file writes it; `parse` reads it back."""
        return f"{_days_text(self.days)} {_clock(self.begin)}-{_clock(self.end % _DAY or _DAY)} {self.zone}"

    def holds(self, now: float) -> bool:
        """Whether `now` (seconds since the epoch) lies in it."""
        wall = datetime.fromtimestamp(now, _zone(self.zone))
        minute = wall.hour * 60 + wall.minute
        today = wall.weekday() in self.days and self.begin <= minute < self.end
        since_yesterday = (wall.weekday() - 1) % 7 in self.days and minute < self.end - _DAY
        return today or since_yesterday

    def opens(self, now: float) -> float | None:
        """The first moment after `now` at which it holds and did not before, in seconds since the epoch."""
        return min((at for at in self._turns(now) if at > now and self.holds(at)), default=None)

    def _turns(self, now: float) -> Iterator[float]:
        """The moments around which it can begin to hold: when the wall shows `begin`, and when the wall's clock is
        set."""
        zone = _zone(self.zone)
        first = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        for ahead in range(-1, _AHEAD):
            midnight = first + timedelta(days=ahead)
            begin = midnight + timedelta(minutes=self.begin)
            for fold in (0, 1):
                at = begin.replace(tzinfo=zone, fold=fold).timestamp()
                if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == begin:
                    yield at
            start = midnight.replace(tzinfo=UTC).timestamp()
            if _offset(start, zone) != _offset(start + 86400, zone):
                yield _set_between(start, start + 86400, zone)


def parse(value: object) -> Opening:
    """Of ``Mon-Fri 09-16 Europe/Berlin``; ``22-06`` goes on into the next day, ``00-24`` is the whole day.

    Raises ValueError, which says how to write it.
    """
    if isinstance(value, Opening):
        return value
    shown = f"'{value:.60}'" if isinstance(value, str) else str(value)
    found = re.fullmatch(_PATTERN, value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{shown} says no days, hours and zone; {_WRITE}")
    begin, end = _minutes(found[2]), _minutes(found[3])
    if begin is None or end is None or begin in (_DAY, end):
        raise ValueError(f"{shown}: {found[2]}-{found[3]} are no hours of a day; {_WRITE}")
    days = _days(found[1])
    if days is None:
        raise ValueError(f"{shown}: '{found[1]}' names no days ({', '.join(DAYS)}); {_WRITE}")
    try:
        _zone(found[4])
    except Exception as exc:  # zoneinfo raises KeyError, ValueError, OSError, by what is wrong with the name or file
        raise ValueError(f"{shown}: this machine knows no time zone '{found[4]}'; {_WRITE}") from exc
    return Opening(days, begin, end if end > begin else end + _DAY, found[4])


def is_open(openings: Sequence[Opening], now: float) -> bool:
    """Whether one of them holds; without any, every hour does."""
    return not openings or any(each.holds(now) for each in openings)


def opens_next(openings: Sequence[Opening], now: float) -> float | None:
    """When the first of them opens after `now`; None where none ever does."""
    return min((at for each in openings if (at := each.opens(now)) is not None), default=None)


def closed_because(openings: Sequence[Opening], now: float) -> str:
    """A sentence with the next opening, for people; ``""`` while one is open."""
    if is_open(openings, now):
        return ""
    hours = " or ".join(map(str, openings))
    following = opens_next(openings, now)
    if following is None:
        return f"outside of {hours}, which never comes"
    first = next(each for each in openings if each.opens(now) == following)
    wall = datetime.fromtimestamp(following, _zone(first.zone))
    return f"outside of {hours}; next {wall:%a %Y-%m-%d %H:%M %Z}"


def _days(text: str) -> tuple[int, ...] | None:
    found: set[int] = set()
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) > 2 or any(end not in DAYS for end in ends):
            return None
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found.update((first + i) % 7 for i in range((last - first) % 7 + 1))
    return tuple(sorted(found))


def _days_text(days: tuple[int, ...]) -> str:
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)


def _minutes(text: str) -> int | None:
    hours, _, minutes = text.partition(":")
    found = int(hours) * 60 + int(minutes or 0)
    return found if int(minutes or 0) < 60 and found <= _DAY else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}" + (f":{minutes % 60:02}" if minutes % 60 else "")


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _offset(at: float, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()


def _set_between(low: float, high: float, zone: ZoneInfo) -> float:
    """When the clocks were set between two moments with different offsets, to the second."""
    before = _offset(low, zone)
    while high - low > 1:
        middle = float((low + high) // 2)
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high

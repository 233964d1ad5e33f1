"""What one pair's differences have in them: each with the transforms that fit it. Hot: once per differing pair.

Most transforms are of one difference. Some are of several: a field that is missing here and added there was renamed,
and what happened to a list shows at many places below it. For lists both bodies are parsed again, and only when
differences below a list were not explained one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from shadow.causes.lists import list_transform
from shadow.causes.transforms import Tier, fitting, name_of, rank
from shadow.comparing.bodies import CodingError, Form, read
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import Absent, Json, UnreadableError, parse
from shadow.pair import Answer, Pair

MOST_BODY = 256 * 1024
"""Bytes of a body that is parsed again for its lists."""
MOST_OBJECTS = 10
"""Objects that only the candidate has, of which it is looked at whether they hold what is missing elsewhere."""
MOST_NESTED = 4
"""Lists within each other that are looked at, from outside: each is read through."""
PAGING = frozenset(("page", "offset", "cursor", "start", "skip", "limit", "after", "before", "from", "per_page"))
"""Query parameters that ask for a part of something longer."""


@dataclass(frozen=True, slots=True)
class Member:
    """A difference, and what may explain it."""

    difference: Difference
    transforms: tuple[str, ...]
    """The preferred first; the last one always fits."""


def members(pair: Pair, differences: Sequence[Difference]) -> tuple[Member, ...]:
    """Every difference of the pair with the transforms that fit it. Never raises, whatever the answers are."""
    found = [fitting(difference) for difference in differences]
    if len(differences) > 1:
        for index, transform in _together(differences):
            if transform not in found[index]:
                found[index] = (transform, *found[index])
    for index, transform in _of_lists(pair, differences, found):
        found[index] = (transform, *found[index])
    return tuple(map(Member, differences, found))


def _together(differences: Sequence[Difference]) -> Iterator[tuple[int, str]]:
    """What several differences of a pair are together, for each of them by its index."""
    gone = {index: repr(each.legacy) for index, each in enumerate(differences) if each.kind is DifferenceKind.MISSING}
    come = {index: repr(each.candidate) for index, each in enumerate(differences) if each.kind is DifferenceKind.ADDED}
    if gone and come:
        yield from _renamed(differences, gone, come)
    yield from _swapped(differences)


def _renamed(
    differences: Sequence[Difference], gone: Mapping[int, str], come: Mapping[int, str]
) -> Iterator[tuple[int, str]]:
    """Fields that are missing here and added there with the same value: under another name, or at another place.

    Only where exactly one field of that value is missing and one is added: two zeros say nothing about each other.
    """
    here = _by([gone, come], lambda index, value: (_parent(differences[index].pointer), value))
    anywhere = _by([gone, come], lambda index, value: value)
    added = [index for index in come if isinstance(differences[index].candidate, dict)][:MOST_OBJECTS]
    for missing, value in gone.items():
        siblings = here[_parent(differences[missing].pointer), value]
        others = anywhere[value] if _telling(differences[missing].legacy) else ([], [])
        if len(siblings[0]) == len(siblings[1]) == 1:
            (found,) = siblings[1]
            transform = f"renamed:{_name(differences[missing].path)}>{_name(differences[found].path)}"
        elif len(others[0]) == len(others[1]) == 1:
            (found,) = others[1]
            transform = f"moved:{differences[missing].path}>{differences[found].path}"
        else:
            yield from _into_object(missing, added, differences)
            continue
        yield missing, transform
        yield found, transform


_Key = TypeVar("_Key")


def _by(
    sides: Sequence[Mapping[int, str]], key: Callable[[int, str], _Key]
) -> defaultdict[_Key, tuple[list[int], list[int]]]:
    """The indexes of both sides by a key."""
    found: defaultdict[_Key, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, values in enumerate(sides):
        for index, value in values.items():
            found[key(index, value)][side].append(index)
    return found


def _into_object(missing: int, come: Sequence[int], differences: Sequence[Difference]) -> Iterator[tuple[int, str]]:
    """A field that went, under its own name, into an object that only the candidate has."""
    name, value = _name(differences[missing].pointer), differences[missing].legacy
    for added in come:
        inside = differences[added].candidate
        if isinstance(inside, dict) and name in inside and inside[name] == value and repr(inside[name]) == repr(value):
            transform = f"moved:{_parent(differences[missing].path)}>{differences[added].path}"
            yield missing, transform
            yield added, transform
            return


def _swapped(differences: Sequence[Difference]) -> Iterator[tuple[int, str]]:
    """Two fields of one object, each of which has the other's value."""
    waiting: dict[tuple[str, str, str], int] = {}
    for index, each in enumerate(differences):
        legacy, candidate = each.legacy, each.candidate
        if not (isinstance(legacy, str) and isinstance(candidate, str) and each.pointer.startswith("/")):
            continue
        parent = _parent(each.pointer)
        other = waiting.pop((parent, candidate, legacy), None)
        if other is None:
            waiting[parent, legacy, candidate] = index
            continue
        names = sorted((_name(differences[other].path), _name(each.path)))
        if "*" not in names:  # two items of a list are its order
            yield other, f"swapped:{names[0]}>{names[1]}"
            yield index, f"swapped:{names[0]}>{names[1]}"


def _telling(value: Json | Absent) -> bool:
    """Whether a value is rare enough that finding it at another place means something."""
    return value not in (None, True, False, 0, 1, "", [], {})


def _parent(pointer: str) -> str:
    return pointer.rpartition("/")[0]


def _name(pointer: str) -> str:
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


# --- lists -----------------------------------------------------------------------------------------------------------


def _of_lists(
    pair: Pair, differences: Sequence[Difference], found: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, str]]:
    """For each difference below a list that changed as a whole: what happened to the list, the outermost one."""
    below = {index: lists for index, each in enumerate(differences) if (lists := _lists_above(each))}
    if not below or all(rank(found[index][0]).tier <= Tier.EXACT for index in below):
        return
    documents = _parsed(pair.legacy), _parsed(pair.candidate)
    if isinstance(documents[0], Absent) or isinstance(documents[1], Absent):
        return
    paged = is_paged(pair.target)
    known: dict[str, str] = {}
    for index, lists in below.items():
        for place in lists:
            if place not in known:
                known[place] = _transform_at(place, documents[0], documents[1], paged)
            if known[place]:
                # With its path, for differences below it have paths of their own: /items/*/price, /items/*/name.
                yield index, f"{known[place]}@{_generic(place, differences[index])}"
                break


def _lists_above(difference: Difference) -> tuple[str, ...]:
    """Pointers of what may be a list above the difference, the outermost first."""
    if not difference.pointer.startswith("/"):
        return ()
    steps = difference.pointer.split("/")
    depths = [depth for depth in range(1, len(steps)) if steps[depth].isdecimal()]
    return tuple("/".join(steps[:depth]) for depth in depths[:MOST_NESTED])


def _generic(place: str, difference: Difference) -> str:
    """The path of a list above a difference: as many steps of the difference's path."""
    return "/".join(difference.path.split("/")[: place.count("/") + 1])


def _transform_at(place: str, legacy: Json, candidate: Json, paged: bool) -> str:
    one, other = _at(legacy, place), _at(candidate, place)
    if isinstance(one, list) and isinstance(other, list):
        return list_transform(one, other, paged)
    return ""


def _at(value: Json, place: str) -> Json:
    """The value at a pointer; None where there is none."""
    for step in place.split("/")[1:]:
        if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step.replace("~1", "/").replace("~0", "~"))
        else:
            return None
    return value


def _parsed(answer: Answer) -> Json | Absent:
    if len(answer.body) > MOST_BODY or answer.truncated:
        return Absent()
    try:
        readable = read(answer)
        return parse(readable.body) if readable.form is Form.JSON else Absent()
    except (CodingError, UnreadableError):
        return Absent()


@lru_cache(maxsize=1024)
def is_paged(target: str) -> bool:
    """Whether a request asks for a part of something longer."""
    try:
        query = urlsplit(target).query
        return any(name_of(name.lower()) in PAGING for name, _ in parse_qsl(query, max_num_fields=100))
    except ValueError:
        return False

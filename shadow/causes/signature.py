"""What one pair's differences have in them: each with the transforms that fit it. Hot: once per differing pair.

Most transforms are of one difference. Some are of several: a field that is missing here and added there was renamed,
and what happened to a list shows at many places below it. For lists both bodies are parsed again, and only when
differences below a list were not explained one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from shadow.bodies import CodingError, Form, read
from shadow.causes.lists import list_transform
from shadow.causes.transforms import Tier, fitting, name_of, rank
from shadow.differences import Difference, DifferenceKind
from shadow.pair import Answer, Pair
from shadow.values import Absent, Json, UnreadableError, parse, same

MOST_BODY = 256 * 1024
"""Bytes of a body that is parsed again for its lists."""
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
    for index, transform in _renamed(differences):
        found[index] = (transform, *found[index])
    for index, transform in _of_lists(pair, differences, found):
        found[index] = (transform, *found[index])
    return tuple(map(Member, differences, found))


def _renamed(differences: Sequence[Difference]) -> Iterable[tuple[int, str]]:
    """Fields that are missing here and added there, with the same value: under another name, or at another place.

    Only where exactly one field of that value is missing and one is added: two zeros say nothing about each other.
    """
    gone = [index for index, each in enumerate(differences) if each.kind is DifferenceKind.MISSING]
    come = [index for index, each in enumerate(differences) if each.kind is DifferenceKind.ADDED]
    if not gone or not come or len(gone) > 100 or len(come) > 100:
        return
    for missing in gone:
        place, value = differences[missing].pointer, differences[missing].legacy
        siblings = [index for index in come if _parent(differences[index].pointer) == _parent(place)]
        others = [index for index in gone if _parent(differences[index].pointer) == _parent(place)]
        added = _only(siblings, value, differences, "candidate")
        if added is not None and _only(others, differences[added].candidate, differences, "legacy") == missing:
            transform = f"renamed:{_name(differences[missing].path)}>{_name(differences[added].path)}"
        elif _telling(value) and (added := _only(come, value, differences, "candidate")) is not None:
            if _only(gone, value, differences, "legacy") != missing:
                continue
            transform = f"moved:{differences[missing].path}>{differences[added].path}"
        else:
            yield from _into_object(missing, come, differences)
            continue
        yield missing, transform
        yield added, transform


def _into_object(missing: int, come: Sequence[int], differences: Sequence[Difference]) -> Iterable[tuple[int, str]]:
    """A field that went, under its own name, into an object that only the candidate has."""
    name = _name(differences[missing].pointer)
    for added in come:
        inside = differences[added].candidate
        if isinstance(inside, dict) and name in inside and same(inside[name], differences[missing].legacy):  # type: ignore[arg-type]
            transform = f"moved:{_parent(differences[missing].path)}>{differences[added].path}"
            yield missing, transform
            yield added, transform
            return


def _only(indexes: Sequence[int], value: Json | Absent, differences: Sequence[Difference], side: str) -> int | None:
    """The one difference among those with that value on that side; None where there are none or several."""
    found = [index for index in indexes if _same(getattr(differences[index], side), value)]
    return found[0] if len(found) == 1 else None


def _same(a: Json | Absent, b: Json | Absent) -> bool:
    return not isinstance(a, Absent) and not isinstance(b, Absent) and same(a, b)


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
) -> Iterable[tuple[int, str]]:
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
    return tuple("/".join(steps[:depth]) for depth in range(1, len(steps)) if steps[depth].isdecimal())


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

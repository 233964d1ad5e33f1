"""Has a side applied this write? The question that `writes.read_back` makes of a write, and what its answer shows.

Pure; time is an argument. There are three findings, and the third is no guess at one of the others:

| the answer                                                          | finding     |
| ------------------------------------------------------------------- | ----------- |
| a status of `absent`                                                | not applied |
| the status of `applied`, and every value of `equals` is the write's | applied     |
| the same, and a value is there that is not the write's              | not applied |
| a value is missing, the body is no JSON, or was too long to keep    | unknown     |
| any other status, or no answer                                      | unknown     |

"Not applied" is taken back in two cases. A service may still be at work on a request whose sender is gone, so it counts
only when the write was sent so long ago that it will not be applied any more. And a later write of the same key may
have put its own values there, so it does not count once there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, quote, unquote

from rules.asked import Asked
from rules.match import Match
from rules.matching.captures import capture_reader
from rules.matching.cookies import cookie_in
from rules.read_back import Equal, ReadBack, is_of
from rules.selectors import EVERY, parse_selector, places_of, steps_of
from rules.stages import Side
from shadow.comparing.bodies import CodingError, plain
from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, canonical, parse
from shadow.delivery.retry import Answered, Attempt
from shadow.journal.writes import Original
from shadow.pair import Answer

_UNASKED = frozenset(
    (
        *(b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"content-md5", b"digest"),
        *(b"content-digest", b"repr-digest", b"content-range", b"expect", b"range", b"if-match", b"if-none-match"),
        *(b"if-modified-since", b"if-unmodified-since", b"if-range", b"idempotency-key"),
    )
)
"""Fields that speak of the write's body, or make its request conditional: a question is asked without them."""


class Finding(StrEnum):
    """What a question has come to."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one answer shows, and why."""

    finding: Finding
    why: str
    answer: Answer | None = None
    """What showed that the write is applied: it may tell the id of what the write made."""


@dataclass(frozen=True, slots=True)
class Said:
    """A write's request by its values, as selectors name them."""

    captures: Mapping[str, str]
    """As they stand in the path, percent-encoded."""
    query: str
    headers: Mapping[str, Sequence[str]]
    """Names in lower case."""
    idempotency_key: str
    body: Json | Absent = field(default=ABSENT)
    """Absent where it is no JSON."""

    def value(self, selector: str) -> Json | Absent:
        """The value that the selector names; absent where the request has none, or more than one."""
        asked = parse_selector(selector)
        match asked.kind:
            case "path":
                return unquote(self.captures[asked.name]) if asked.name in self.captures else ABSENT
            case "query":
                found = [text for name, text in parse_qsl(self.query, keep_blank_values=True) if name == asked.name]
                return found[0] if found else ABSENT
            case "header":
                if asked.name == "idempotency-key":
                    return self.idempotency_key or ABSENT
                lines = self.headers.get(asked.name, ())
                return lines[0] if len(lines) == 1 else ABSENT
            case "cookie":
                text = cookie_in(";".join(self.headers.get("cookie", ())), asked.name)
                return ABSENT if text is None else text
            case "request":
                values = list(found_at(self.body, asked.steps))
                return values[0] if len(values) == 1 else ABSENT
        return ABSENT


def said_by(method: str, original: Original, match: Match) -> Said:
    """What the client's request says, by the route's match."""
    path, _, query = original.target.partition("?")
    headers: dict[str, list[str]] = {}
    for name, value in original.headers:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    asked = Asked(method, original.host.partition(":")[0].lower(), path, query, headers=headers)
    return Said(
        capture_reader(match)(asked), query, headers, original.idempotency_key, readable(original.body, headers)
    )


def readable(body: bytes, headers: Mapping[str, Sequence[str]] = {}) -> Json | Absent:
    """The JSON value of a request's body; absent where it is none."""
    lines = tuple((name, value) for name in ("content-encoding",) for value in headers.get(name, ()))
    try:
        return parse(plain(Answer(200, lines, body)))
    except (CodingError, UnreadableError):
        return ABSENT


def found_at(value: Json | Absent, steps: Sequence[str]) -> Iterable[Json]:
    """The values at a pointer; more than one where a step is ``*``."""
    if isinstance(value, Absent):
        return
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step == EVERY and isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from found_at(item, rest)
    elif isinstance(value, dict) and step in value:
        yield from found_at(value[step], rest)
    elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
        yield from found_at(value[int(step)], rest)


def question(read_back: ReadBack, side: Side, said: Said) -> str | None:
    """Path and query to ask that side; None where the write lacks a value that the question needs."""
    template = read_back.candidate if side is Side.CANDIDATE and read_back.candidate is not None else read_back.path
    target = ""
    for literal, place in places_of(template):
        target += literal
        if not place:
            continue
        asked = parse_selector(place)
        # A capture goes out as it came; anything else must not end its segment or its parameter.
        text = said.captures.get(asked.name, "") if asked.kind == "path" else _filled(said.value(place))
        if not text:
            return None
        target += text
    return target


def question_headers(original: Original) -> list[tuple[bytes, bytes]]:
    """What the write's sender said of itself (authorization, cookies, language), without what spoke of the write."""
    return [(name, value) for name, value in original.headers if name.lower() not in _UNASKED]


def read_reply(read_back: ReadBack, said: Said, attempt: Attempt) -> Reply:
    """The table above."""
    if not isinstance(attempt, Answered):
        return Reply(Finding.UNKNOWN, f"no answer ({getattr(attempt, 'failure', '') or 'cannot be asked'})")
    answer = attempt.answer
    if any(is_of(answer.status, pattern) for pattern in read_back.absent):
        return Reply(Finding.NOT_APPLIED, f"status {answer.status}")
    applied = read_back.applied
    if not is_of(answer.status, applied.status):
        return Reply(Finding.UNKNOWN, f"status {answer.status}, not {applied.status}")
    if not applied.equals:
        return Reply(Finding.APPLIED, f"status {answer.status}")
    if answer.truncated:
        return Reply(Finding.UNKNOWN, "the answer is too long to be read")
    try:
        body = parse(plain(answer))
    except (CodingError, UnreadableError) as exc:
        return Reply(Finding.UNKNOWN, f"the answer cannot be read: {exc}")
    replies = [_compare(equal, body, said) for equal in applied.equals]
    for finding in (Finding.NOT_APPLIED, Finding.UNKNOWN):  # all must hold: one that does not decides
        if reply := next((each for each in replies if each.finding is finding), None):
            return reply
    return replies[0]


def conclude(reply: Reply, *, waited: float, within: float, overtaken: bool) -> Reply:
    """What the reply comes to `waited` seconds after nobody sends the write any more."""
    if reply.finding is not Finding.NOT_APPLIED:
        return reply
    if overtaken:
        return Reply(Finding.UNKNOWN, f"{reply.why}, but a later write of its key has gone through since")
    if waited < within:
        return Reply(Finding.UNKNOWN, f"{reply.why}, but it may still be applied")
    return reply


def _compare(equal: Equal, body: Json, said: Said) -> Reply:
    wanted = said.value(equal.with_)
    if isinstance(wanted, Absent):
        return Reply(Finding.UNKNOWN, f"the write has no {equal.with_}")
    steps = steps_of(equal.body)
    values = list(found_at(body, steps))
    if any(_denotes(value, wanted) for value in values):
        return Reply(Finding.APPLIED, f"{equal.body} is the write's {equal.with_}")
    if values or _is_empty(body, steps):
        return Reply(Finding.NOT_APPLIED, f"{equal.body} is not the write's {equal.with_}")
    return Reply(Finding.UNKNOWN, f"the answer has no {equal.body}")


def _is_empty(body: Json, steps: Sequence[str]) -> bool:
    """Whether a list, or an object, that a step ``*`` runs over is there and holds nothing."""
    return any(
        found in ([], {})
        for at, step in enumerate(steps)
        if step == EVERY
        for found in found_at(body, steps[:at])
        if isinstance(found, list | dict)
    )


def _denotes(value: Json, wanted: Json) -> bool:
    """Whether both are one value: services write the number of a path as a number, or as text."""
    return not isinstance(value, list | dict) and _text(value) == _text(wanted)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else canonical(value)


def _filled(value: Json | Absent) -> str:
    if isinstance(value, Absent | list | dict) or value is None:
        return ""
    return quote(_text(value), safe="")

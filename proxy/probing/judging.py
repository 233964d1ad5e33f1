"""What an answer is held against, check by check, and what later steps take of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from proxy.probing.asking import Values, filled, text_of
from proxy.probing.findings import Check
from proxy.probing.hiding import Hiding
from rules.hidden import may_be_secret
from rules.matching.regex import whole_matcher
from rules.probes import HeaderExpectation, JsonExpectation, ProbeStep
from rules.quantities import duration_text
from rules.read_back import is_of
from rules.selectors import steps_of
from rules.templates import parse_template
from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, parse, same, written
from shadow.delivery.read_back import found_at


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole, as a client would get it."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    """By lower-case name, each with its lines."""
    body: bytes
    """Without content coding."""
    seconds: float


@dataclass(frozen=True, slots=True)
class NoReply:
    """None came."""

    kind: str
    """``connect``, ``tls`` (nothing was sent), ``timeout``, ``reset``, ``malformed``, ``too large``."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What one answer comes to."""

    checks: tuple[Check, ...]
    taken: dict[str, Json]
    """Empty where a check failed."""


def judge(step: ProbeStep, reply: Reply, values: Values, hiding: Hiding) -> Judged:
    """Where the status is wrong, nothing else is asked: an error page lacks all that was hoped for.

    `hiding` learns what is taken and must not be shown.
    """
    expect = step.expect
    status = Check(
        "status", " or ".join(expect.status), str(reply.status), any(is_of(reply.status, one) for one in expect.status)
    )
    if not status.ok:
        return Judged((status,), {})
    taken: dict[str, Json] = {}
    value = _json_of(reply.body) if expect.json_ or any(_is_of_body(each) for each in step.take.values()) else ABSENT
    checks = [status]
    for name, selector in step.take.items():
        found = _taken(selector, reply, value)
        if isinstance(found, Absent):
            checks.append(Check(f"take {name}", f"a value at {selector}", _instead(reply, selector, value), False))
            continue
        taken[name] = found
        if may_be_secret(name) or hiding.is_secret(selector):
            hiding.learn(text_of(found))
    texts = {key: text_of(each) for key, each in values.items()}
    checks += [_header(name, each, reply, texts, hiding) for name, each in expect.headers.items()]
    checks += [_at(each, value, values, hiding) for each in expect.json_]
    checks += [_contains(each, reply.body, texts, hiding) for each in expect.contains]
    if expect.latency is not None:
        shown = f"{reply.seconds * 1000:.0f} ms"
        limit = f"at most {duration_text(expect.latency)}"
        checks.append(Check("latency", limit, shown, reply.seconds <= expect.latency))
    return Judged(tuple(checks), taken)


def _is_of_body(selector: str) -> bool:
    return selector.startswith("response:")


def _json_of(body: bytes) -> Json | UnreadableError:
    try:
        return parse(body)
    except UnreadableError as exc:
        return exc


def _taken(selector: str, reply: Reply, value: Json | Absent | UnreadableError) -> Json | Absent:
    kind, _, name = selector.partition(":")
    if kind == "header":
        return next(iter(reply.headers.get(name, ())), ABSENT)
    if kind == "cookie":
        for line in reply.headers.get("set-cookie", ()):
            found, equals, text = line.partition(";")[0].partition("=")
            if equals and found.strip() == name:
                return text.strip()
        return ABSENT
    return _first(value, name)


def _first(value: Json | Absent | UnreadableError, pointer: str) -> Json | Absent:
    return ABSENT if isinstance(value, UnreadableError) else next(iter(found_at(value, steps_of(pointer))), ABSENT)


def _instead(reply: Reply, selector: str, value: Json | Absent | UnreadableError) -> str:
    """Why there is no value."""
    if _is_of_body(selector) and isinstance(value, UnreadableError):
        return _not_json(reply.body, value)
    return "none"


def _not_json(body: bytes, exc: UnreadableError) -> str:
    return f"{len(body)} bytes that are no JSON ({exc})"


def _header(
    name: str, expected: str | HeaderExpectation, reply: Reply, texts: Mapping[str, str], hiding: Hiding
) -> Check:
    what, found = f"header {name}", reply.headers.get(name, ())
    got = " | ".join(hiding.header(name, each) for each in found) or "none"
    if isinstance(expected, str):
        wanted = parse_template(expected).fill(texts)
        return Check(what, hiding.header(name, wanted), got, wanted in found)
    if expected.exists is not None:
        return Check(what, "to be there" if expected.exists else "none", got, bool(found) == expected.exists)
    if expected.matches is not None:
        matches = whole_matcher(expected.matches)
        shown = f"to match {hiding.header(name, expected.matches)}"
        return Check(what, shown, got, any(matches(each) for each in found))
    part = parse_template(expected.contains or "").fill(texts)
    return Check(what, f"to contain {hiding.header(name, part)}", got, any(part in each for each in found))


def _contains(part: str, body: bytes, texts: Mapping[str, str], hiding: Hiding) -> Check:
    wanted = parse_template(part).fill(texts)
    ok = wanted.encode("utf-8", "surrogatepass") in body
    got = "it" if ok else f"{len(body)} bytes without it"
    return Check("body", f"to contain '{hiding.text(wanted)}'", got, ok)


def _at(expected: JsonExpectation, value: Json | Absent | UnreadableError, values: Values, hiding: Hiding) -> Check:
    """Where the pointer names several values (``*``), one that will do is enough."""
    what = f"json {hiding.text(expected.at)}"
    wanted, ok_with = _wanted(expected, values, hiding)
    if isinstance(value, UnreadableError):
        return Check(what, wanted, f"no JSON ({value})", False)
    found = list(found_at(value, steps_of(expected.at)))
    if expected.exists is not None:
        got = hiding.json(found[0] if found else ABSENT, expected.at)
        return Check(what, wanted, got, bool(found) == expected.exists)
    fitting = next((each for each in found if ok_with(each)), ABSENT)
    shown = fitting if not isinstance(fitting, Absent) else found[0] if found else ABSENT
    return Check(what, wanted, hiding.json(shown, expected.at), not isinstance(fitting, Absent))


def _wanted(expected: JsonExpectation, values: Values, hiding: Hiding) -> tuple[str, Any]:
    """What is said of it, and the predicate."""
    if expected.exists is not None:
        return ("to be there" if expected.exists else "none"), None
    if expected.matches is not None:
        matches = whole_matcher(expected.matches)
        return f"to match {hiding.text(expected.matches)}", lambda each: isinstance(each, str) and matches(each)
    if expected.at_least is not None or expected.at_most is not None:
        low, high = _decimal(expected.at_least), _decimal(expected.at_most)
        said = [f"at least {low}"] if low is not None else []
        said += [f"at most {high}"] if high is not None else []
        return " and ".join(
            said
        ), lambda each: _is_number(each) and (low is None or each >= low) and (high is None or each <= high)
    wanted = parse(written(filled(expected.equals, values)).encode("utf-8", "surrogatepass"))
    shown = hiding.json(wanted, expected.at)
    if expected.within is not None and isinstance(wanted, int | Decimal):
        within = _decimal(expected.within)
        least, most = Decimal(wanted) - within, Decimal(wanted) + within
        # Compared and not subtracted: the answer may be a number with which no decimal context can reckon.
        return f"{shown} within {within}", lambda each: _is_number(each) and least <= each <= most
    return shown, lambda each: same(each, wanted)


def _decimal(number: float | None) -> Any:
    return None if number is None else Decimal(repr(number)) if number % 1 else Decimal(int(number))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)

"""A step of a script as the request that one side's service gets: with the route's rewrites, headers and Host, as a
client's request to that side would arrive there. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rules.asked import DEFAULT_HOST, Asked, ask
from rules.explaining.outcome import Changed, forwarded, sent
from rules.probes import MARKER, Probe, ProbeStep
from rules.reading.checks import SAFE_METHODS
from rules.service import Service
from rules.stages import Side, Stage
from rules.table import CompiledRoute, Table
from rules.templates import parse_template
from shadow.comparing.values import Json, written

_ADDED = (("user-agent", "fig-probe"), ("accept-encoding", "identity"))
"""Where the script does not say them."""
Values = Mapping[str, Json]


class UnaskableError(ValueError):
    """A step that cannot be made a request of any service; the message may hold secrets."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, ready to be sent."""

    route: str
    """The name of the one that takes the request."""
    name: str
    """Of the service."""
    service: Service
    side: Side
    """Who is asked: not always the side that is probed (`answering`)."""
    method: str
    target: str
    host: str
    """``""``: that of the endpoint."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: float
    """Seconds for the answer's first byte, as for clients."""
    given: tuple[tuple[str, str], ...]
    """The script's own headers, filled in."""
    answer: Changed
    """What a client would find changed of the answer's header."""


def question(
    table: Table, name: str, probe: Probe, number: int, side: Side, values: Values, request_id: str
) -> Question:
    """Of the step with this number, from 0. Raises UnaskableError."""
    step = probe.steps[number]
    texts = {key: text_of(value) for key, value in values.items()}
    given = [(each, parse_template(value).fill_line(texts)) for each, value in step.headers.items()]
    body, kind = _body(step, values, texts)
    if kind and not _names(given, "content-type"):
        given.append(("content-type", kind))
    target = parse_template(step.path).fill(
        {key: quote(text, safe="", errors="surrogatepass") for key, text in texts.items()}
    )
    added = [line for line in _ADDED if not _names(given, line[0])]
    try:
        asked = ask(step.method, target, [("host", probe.host or DEFAULT_HOST), *given, *added])
    except ValueError as exc:  # of which RefusedError is one
        raise UnaskableError(f"fig would not forward this request: {exc}") from exc
    route = table.route(asked)
    if route.own is not None:
        raise UnaskableError(f"fig itself answers this path (route '{route.name}'), so no side can be asked")
    asks = answering(route, probe, side)
    gets = sent(table, route, asks, asked, request_id)
    if gets.refused:
        raise UnaskableError(gets.refused)
    headers = gets.request.applied(forwarded(table, asked))
    own = _own(asked, name, request_id)
    if route.writes is not None and step.method not in SAFE_METHODS and not asked.values("idempotency-key"):
        own["idempotency-key"] = f"{name}-{values['run']}-{number + 1}"
    return Question(
        route=route.name,
        name=gets.service,
        service=table.services[gets.service],
        side=asks,
        method=step.method,
        target=gets.target,
        host="" if " or " in gets.host else gets.host,  # `rewrite.host: service` of one with several endpoints
        headers=(
            *((each, value) for each, found in headers.items() for value in found if each not in own),
            *own.items(),
        ),
        body=body,
        timeout=gets.timeout,
        given=tuple(given),
        answer=gets.answer,
    )


def answering(route: CompiledRoute, probe: Probe, side: Side) -> Side:
    """Who is asked on `route` when `probe` is run on `side`."""
    if route.name in probe.routes:
        return side
    return Side.CANDIDATE if route.stage in (Stage.LIVE, Stage.RETIRED) else Side.LEGACY


def _names(lines: list[tuple[str, str]], name: str) -> bool:
    return any(each.lower() == name for each, _ in lines)


def _own(asked: Asked, probe: str, request_id: str) -> dict[str, str]:
    """What fig writes for every request, and the marker."""
    return {
        "x-forwarded-for": asked.client,
        "x-forwarded-proto": asked.scheme,
        "x-forwarded-host": asked.values("host")[0],
        "x-request-id": request_id,
        "via": "1.1 fig",
        MARKER.lower(): probe,
    }


def _body(step: ProbeStep, values: Values, texts: Mapping[str, str]) -> tuple[bytes, str]:
    """The body and the media type that goes with it."""
    if step.has_json:
        return written(filled(step.json_, values)).encode(), "application/json"
    if step.text is not None:
        return parse_template(step.text).fill(texts).encode("utf-8", "surrogatepass"), "text/plain; charset=utf-8"
    return b"", ""


def filled(value: Any, values: Values) -> Json:
    """Plain data of the rules file with its texts filled in; one that is a place and nothing else becomes the value."""
    if isinstance(value, str):
        template = parse_template(value)
        if len(template.parts) == 2 and template.parts[0][0] == "" and template.parts[1] == ("", ""):
            return values[template.parts[0][1]]
        return template.fill({key: text_of(each) for key, each in values.items()})
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if isinstance(value, dict):
        return {key: filled(item, values) for key, item in value.items()}
    plain: Json = value
    return plain


def text_of(value: Json) -> str:
    """A value as it stands within a text."""
    return value if isinstance(value, str) else written(value)

"""One line of fig's access log explained: what happened, why, and whether the table would decide otherwise now. Pure.

The log holds no headers, cookies and queries. So what is recomputed here is said with that reservation: a route that
stands earlier, and whose host, path, method and client fit, must have failed on one of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from rules.asked import Asked
from rules.buckets import BUCKETS
from rules.explaining.misses import FEW, Miss
from rules.partial import fit
from rules.quantities import share_text
from rules.stages import Side, Stage
from rules.table import NO_ROUTE, CompiledRoute, Table


class Line(BaseModel):
    """What fig logged of one exchange (proxy/worker/access.py). Keys that a release did not write yet may be absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    request_id: str
    method: str
    host: str
    path: str
    client: str
    route: str
    reason: str
    generation: int
    side: Side | None = None
    """The side that answered; None where fig did."""
    service: str | None = None
    bucket: int | None = None
    sent_path: str | None = None
    """The path that the service got."""
    status: int = 0
    """0: the client was gone."""
    failure: str = ""
    fallback: str = ""
    """Why the candidate failed, where legacy answered in its place."""
    retries: int = 0
    ms: float | None = None
    timestamp: str = ""

    @property
    def decided(self) -> Side | None:
        """The side that was chosen; a fallback had legacy answer in the candidate's place."""
        return Side.CANDIDATE if self.fallback else self.side


@dataclass(frozen=True, slots=True)
class Retold:
    """A line with its reasons."""

    line: Line
    generation: int
    """Of the table that reasons were looked for in."""
    misses: tuple[Miss, ...]
    """Earlier routes that cannot have taken it, at most FEW."""
    further: int
    """So many more of them."""
    depends: tuple[tuple[str, tuple[str, ...]], ...]
    """Earlier routes that fit as far as the log tells, and what they must have failed on; at most FEW."""
    differs: bool | None
    """Whether the table decides otherwise now; None where the log does not hold what that depends on."""
    now: str
    """One sentence: what the table does with such a request now."""

    def as_json(self) -> dict[str, Any]:
        """What ``fig rules explain --log --json`` prints."""
        return {
            **self.line.model_dump(mode="json"),
            "looked_up_in_generation": self.generation,
            "misses": [{"route": miss.route, "predicate": miss.predicate, "why": miss.why} for miss in self.misses],
            "misses_not_told": self.further,
            "depends_on_what_no_log_holds": [{"route": name, "on": list(on)} for name, on in self.depends],
            "differs_now": self.differs,
            "now": self.now,
            "text": self.text(),
        }

    def text(self) -> list[str]:
        """Lines for a terminal."""
        line = self.line
        when = f" at {line.timestamp}" if line.timestamp else ""
        found = [
            f"{line.method} {line.path}  (host {line.host}, client {line.client}, request id {line.request_id})",
            f"  then{when}, by generation {line.generation}",
            f"    taken by {_route(line.route)}{_sent_as(line)}",
            f"    answered by {_answered(line)}",
            f"    because  {_because(line)}",
            f"  the routes before it, as they stand now (generation {self.generation})",
        ]
        unless = "" if self.generation == self.line.generation else ", or is new"
        width = max((len(name) for name in [*(miss.route for miss in self.misses), *dict(self.depends)]), default=0)
        found += [f"    not {miss.route:<{width}}  {miss.predicate}: {miss.why}" for miss in self.misses]
        if self.further:
            found.append(f"    and {self.further:,} more that cannot have taken it")
        for name, on in self.depends:
            found.append(
                f"    not {name:<{width}}  it failed on {' or '.join(on)}, which the log does not hold{unless}"
            )
        if not self.misses and not self.depends and not self.further:
            found.append("    there are none")
        same = "the same" if not (unless and self.depends) else "the same, if the routes before it are those of then"
        verdict = {True: "otherwise", False: same, None: "not to be told from the log"}[self.differs]
        return [*found, f"  now: {verdict}", f"    {self.now}"]


def retell(table: Table, line: Line) -> Retold:
    """What `table` says of a logged exchange."""
    request = Asked(line.method, line.host, line.path, client=line.client)
    taken = table.by_name.get(line.route)
    misses: list[Miss] = []
    depends: list[tuple[str, tuple[str, ...]]] = []
    further = 0
    before: CompiledRoute | None = None
    for route in table.routes[: taken.index if taken is not None else -1]:
        found = fit(route.spec.match, request)
        if found.takes:
            before = route
            break
        if found.takes is None:
            depends += [(route.name, found.unknown)] if len(depends) < FEW else []
        elif len(misses) < FEW:
            misses.append(Miss(route.name, found.predicate, found.why))
        else:
            further += 1
    differs, now = _now(table, line, request, taken, before)
    return Retold(line, table.generation, tuple(misses), further, tuple(depends), differs, now)


def _now(
    table: Table, line: Line, request: Asked, taken: CompiledRoute | None, before: CompiledRoute | None
) -> tuple[bool | None, str]:
    if before is not None:
        gone = f"there is no route {line.route} any more, and" if taken is None else f"before {line.route} now"
        return True, f"{gone} {before.name} takes every such request"
    if taken is None:
        return True, f"there is no route {line.route} any more; whatever takes such a request now, it is another"
    own = fit(taken.spec.match, request) if taken.name != NO_ROUTE else None
    if own is not None and own.takes is False:
        return True, f"{taken.name} does not take it any more, by its {own.predicate}: {own.why}"
    return _side_now(line, taken)


def _side_now(line: Line, taken: CompiledRoute) -> tuple[bool | None, str]:
    """Which side answers such a request now, given that the same route takes it."""
    if taken.name == NO_ROUTE:
        return line.reason != "no route", "no route takes such a request, so legacy answers"
    if taken.own is not None:
        return line.side is not None, f"{taken.name} has fig answer by itself"
    stands = f"{taken.name} stands in stage {taken.stage.value}"
    if line.reason == "forced":
        return None, f"{stands}; the request forced its side, and would again if its token is still the one"
    if taken.stage is not Stage.CANARY:
        side = taken.outcomes().unitless.decision.side
        return side is not line.decided, f"{stands}, so {side.value} answers"
    stands += f" at {share_text(taken.share)}"
    if line.bucket is None:
        if line.reason == "no unit":
            return line.decided is not Side.LEGACY, f"{stands}; without a unit legacy answers"
        return None, f"{stands}; the log holds no bucket of this request's unit"
    side = Side.CANDIDATE if line.bucket < taken.share else Side.LEGACY
    flips = f"bucket {line.bucket} of {BUCKETS:,} is the candidate's from {share_text(line.bucket + 1)} on"
    return side is not line.decided, f"{stands}, so {side.value} answers: {flips}"


def _route(name: str) -> str:
    return "no route; the file's legacy" if name == NO_ROUTE else f"route {name}"


def _sent_as(line: Line) -> str:
    return f", sent as {line.sent_path}" if line.sent_path and line.sent_path != line.path else ""


def _answered(line: Line) -> str:
    who = "fig itself" if line.side is None else f"{line.side.value}, service {line.service}"
    status = f"with {line.status}" if line.status else "to a client that was gone"
    more = [f"{line.ms:g} ms"] if line.ms is not None else []
    if line.retries:
        more.append(f"retries {line.retries}")
    if line.fallback:
        more.append(f"in place of the candidate, which failed: {line.fallback}")
    if line.failure:
        more.append(f"failure {line.failure}")
    return f"{who}, {status}" + (f" ({', '.join(more)})" if more else "")


def _because(line: Line) -> str:
    side = line.decided.value if line.decided is not None else "fig"
    if line.reason == "share":
        bucket = "" if line.bucket is None else f" {line.bucket} of {BUCKETS:,}"
        return f"the bucket{bucket} of its unit was {side}'s at the share of then"
    return {
        "stage": f"in the stage of then {side} always answered",
        "forced": f"the request forced {side} with a valid token",
        "no unit": "it had no unit, so legacy answered and nothing was counted",
        "no route": "no route took it, so legacy answered",
        "redirect": "the route redirects",
        "respond": "the route has an answer of fig's own",
    }.get(line.reason, line.reason)

"""Whether a table does what a case expects of it, and if not, what it does instead and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rules.asked import RefusedError, ask
from rules.expecting.expectations import Case, Cases, condition_text
from rules.explaining.explain import Explanation, explain
from rules.explaining.misses import miss_of
from rules.explaining.outcome import Changed, Sent, forwarded
from rules.explaining.reasons import is_copied
from rules.hidden import NOT_SHOWN, header_may_be_secret
from rules.match import Condition
from rules.matching.conditions import ValueTest
from rules.problems import Place, Problem, suggestion
from rules.quantities import duration_text
from rules.stages import Side
from rules.table import NO_ROUTE, Table

ABSENT = "none"


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that does not hold."""

    key: str
    """``route``, ``request_headers.x-a``."""
    expected: str
    got: str
    why: str
    """A sentence, or ``""`` where `got` says all."""
    place: Place

    def __str__(self) -> str:
        return f"{self.key}: expected {self.expected}, got {self.got}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one case."""

    case: Case
    failures: tuple[Failure, ...]
    route: str | None
    """The route that took the request, NO_ROUTE among them; None when fig refuses it."""
    side: Side | None
    """The side that answers; None where fig does, or where a unit to be issued would decide it."""

    @property
    def ok(self) -> bool:
        return not self.failures


def misplaced(table: Table, cases: Cases) -> list[Problem]:
    """What the `at` of the file places in stages that `table` knows no route for, or one that has no stages."""
    names = [route.name for route in table.routes if route.name != NO_ROUTE]
    found = []
    for name, place in cases.routes.items():
        route = table.by_name.get(name)
        if route is None or name == NO_ROUTE:
            message = f"'at': no route is named '{name}'{suggestion(name, names)}"
            found.append(Problem(place, message, "unknown-route"))
        elif route.spec.candidate is None:
            message = f"'at': route '{name}' has no candidate, so it stands in no stage; remove it here"
            found.append(Problem(place, message, "wrong-value"))
    return found


def judge(table: Table, case: Case) -> Judged:
    """What `table`, its routes standing where the case says, does with the case's request."""
    there = table.restand(table.generation, case.at) if case.at else table
    wanted = case.request
    try:
        request = ask(wanted.method, wanted.url, wanted.lines(), wanted.client)
    except RefusedError as exc:
        return Judged(case, tuple(_of_refusal(case, exc)), None, None)
    except ValueError as exc:
        failure = Failure("request", "a request", "none", str(exc), _place(case, "request"))
        return Judged(case, (failure,), None, None)
    try:
        explanation = explain(there, request, wanted.unit, tell="nothing")
    except ValueError as exc:
        failure = Failure("request", "a unit", "none", str(exc), _place(case, "request"))
        return Judged(case, (failure,), None, None)
    failures = tuple(_Judging(there, case, explanation).failures())
    side = None if explanation.own is not None or explanation.is_open else explanation.choice.decision.side
    return Judged(case, failures, explanation.route.name, side)


def _of_refusal(case: Case, exc: RefusedError) -> Iterator[Failure]:
    expect = case.expect
    if expect.refused is None:
        key = next(iter(case.places), "expect")
        yield Failure(key, "a request that is taken", f"a refusal with {exc.status}", str(exc), _place(case, key))
    elif expect.refused != exc.status:
        yield Failure("refused", str(expect.refused), str(exc.status), str(exc), _place(case, "refused"))


def _place(case: Case, key: str) -> Place:
    return case.places.get(key, case.place)


class _Judging:
    """One case against one explanation."""

    def __init__(self, table: Table, case: Case, explanation: Explanation) -> None:
        self._table = table
        self._case = case
        self._expect = case.expect
        self._explanation = explanation
        self._decision = explanation.choice.decision
        self._sent: Sent | None = explanation.answering[0] if len(explanation.answering) == 1 else None
        self._who = "fig" if explanation.own is not None else "either side" if explanation.is_open else "a service"

    def failures(self) -> Iterator[Failure]:
        expect, route = self._expect, self._explanation.route
        if expect.refused is not None:
            yield self._failure("refused", str(expect.refused), f"route {_named(route.name)}", "fig takes this request")
            return
        if expect.route is not None and expect.route != route.name:
            yield self._failure("route", _named(expect.route), _named(route.name), self._why_not(expect.route))
        yield from self._decided()
        yield from self._request()
        yield from self._answer()

    def _decided(self) -> Iterator[Failure]:
        expect, explanation, decision = self._expect, self._explanation, self._decision
        answers = explanation.own is None and not explanation.is_open
        why = explanation.because
        if explanation.is_open:
            why += "; say which with 'unit' in the request"
        yield from self._same("stage", expect.stage, decision.stage if explanation.own is None else None)
        yield from self._same("side", expect.side, decision.side if answers else self._who, why)
        yield from self._same("service", expect.service, decision.service if answers else self._who, why)
        yield from self._same("reason", expect.reason, decision.reason, why)
        yield from self._same("copies", expect.copies, self._copied(), explanation.copies)
        issued = bool(explanation.choice.issue)
        if expect.issued is not None and expect.issued != issued:
            yield self._failure("issued", _yes(expect.issued), _yes(issued), "")
        captures = explanation.route.captures(explanation.request)
        for name, value in expect.captures.items():
            yield from self._same(f"captures.{name}", value, captures.get(name, ABSENT))

    def _copied(self) -> str:
        explanation, decision = self._explanation, self._decision
        if decision.copy_to is None or not is_copied(decision.route, explanation.request):
            return "nobody"
        return "the other side" if explanation.is_open else decision.copy_to

    def _request(self) -> Iterator[Failure]:
        """What the answering side's service gets."""
        expect, sent = self._expect, self._sent
        if sent is None or sent.refused:
            asked = {"path", "query", "host", "request_headers", "timeout"} & expect.model_fields_set
            why = sent.refused if sent is not None else self._explanation.because
            for key in sorted(asked):
                yield self._failure(key, "a request to a service", ABSENT, why)
            return
        yield from self._holds("path", expect.path, sent.path)
        yield from self._holds("query", expect.query, sent.query or None)
        yield from self._holds("host", expect.host, sent.host)
        lines = sent.request.applied(forwarded(self._table, self._explanation.request))
        yield from self._headers("request_headers", expect.request_headers, lines)
        if expect.timeout is not None and expect.timeout != sent.timeout:
            yield self._failure("timeout", duration_text(expect.timeout), duration_text(sent.timeout), "")

    def _answer(self) -> Iterator[Failure]:
        """fig's own answer; or a service's, as far as the rules change it."""
        expect, own = self._expect, self._explanation.own
        if own is not None and own.answer is not None:
            if expect.status is not None and expect.status != own.answer.status:
                yield self._failure("status", str(expect.status), str(own.answer.status), "")
            headers = Changed(appended=own.answer.headers).applied({})
            yield from self._holds("location", expect.location, ",".join(headers.get("location", ())) or None)
            yield from self._holds("body", expect.body, own.answer.body.decode() or None)
            yield from self._headers("response_headers", expect.response_headers, headers)
            return
        for key in ("status", "location", "body"):
            if key in expect.model_fields_set:
                why = own.refused if own is not None else "a service answers, so the rules do not say"
                yield self._failure(key, "an answer of fig's own", self._who, why)
        if expect.response_headers:
            yield from self._service_answer()

    def _service_answer(self) -> Iterator[Failure]:
        issue = self._explanation.choice.issue
        if self._sent is None:
            yield self._failure("response_headers", "the answer of one side", self._who, self._explanation.because)
            return
        headers = self._sent.answer.applied(self._case.answer.headers)
        if issue:
            headers["cache-control"] = ("private",)
            headers["set-cookie"] = (*headers.get("set-cookie", ()), issue)
        yield from self._headers("response_headers", self._expect.response_headers, headers)

    def _headers(
        self, key: str, expected: Mapping[str, Condition], got: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Failure]:
        for name, wanted in expected.items():
            value = ",".join(got[name]) if name in got else None
            if ValueTest(wanted).failed(value) is None:
                continue
            if header_may_be_secret(name):
                yield self._failure(f"{key}.{name}", NOT_SHOWN, ABSENT if value is None else "something else", "")
            else:
                yield from self._holds(f"{key}.{name}", wanted, value)

    def _holds(self, key: str, wanted: Condition | None, value: str | None) -> Iterator[Failure]:
        if wanted is not None and ValueTest(wanted).failed(value) is not None:
            yield self._failure(key, condition_text(wanted), ABSENT if value is None else f"'{value:.500}'", "")

    def _same(self, key: str, wanted: str | None, got: str | None, why: str = "") -> Iterator[Failure]:
        if wanted is not None and wanted != got:
            yield self._failure(key, str(wanted), str(got or ABSENT), why)

    def _failure(self, key: str, expected: str, got: str, why: str) -> Failure:
        return Failure(key, expected, got, why, _place(self._case, key.partition(".")[0]))

    def _why_not(self, name: str) -> str:
        """Why another route took what `name` was to take, as one sentence."""
        winner, request = self._explanation.route, self._explanation.request
        if name == NO_ROUTE:
            return f"{winner.name} takes it"
        wanted = self._table.by_name.get(name)
        if wanted is None:
            names = [route.name for route in self._table.routes]
            return f"there is no route '{name}'{suggestion(name, names)}"
        miss = miss_of(wanted, request)
        if miss is not None:
            return f"{name} does not take it by its {miss.predicate}: {miss.why}"
        return f"{winner.name} stands before {name}, and takes it too"


def _named(route: str) -> str:
    return "no route" if route == NO_ROUTE else route


def _yes(truth: bool) -> str:
    return "true" if truth else "false"

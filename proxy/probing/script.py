"""One probe on one side, in progress: the next request, what its answer comes to, and the finding at the end.

Pure: time and chance are arguments.
Whoever runs it asks `question` until that is None, sends each question and hands what came of it to `take`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from proxy.probing.asking import Question, UnaskableError, question
from proxy.probing.findings import Outcome, SideFinding, StepFinding
from proxy.probing.hiding import Hiding
from proxy.probing.judging import NoReply, Reply, judge
from proxy.probing.reach import missing
from rules.probes import Probe
from rules.stages import Side
from rules.table import Table
from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, parse
from shadow.spec import Redact

_UNREACHED = ("connect", "tls")


class Script:
    """Runs once."""

    def __init__(
        self,
        table: Table,
        name: str,
        probe: Probe,
        side: Side,
        run: str,
        *,
        given: Mapping[str, str] | None = None,
        redacts: Iterable[Redact] = (),
    ) -> None:
        """`run` is the text that ``{run}`` stands for. `given` and `redacts` say what is not to be shown (Hiding)."""
        self._table = table
        self._name = name
        self._probe = probe
        self._side = side
        self._hiding = Hiding(given or {}, redacts, probe.redact)
        self._values: dict[str, Json] = {"run": run, "side": side.value, "probe": name}
        self._run = run
        self._reached: set[str] = set()
        self._steps: list[StepFinding] = []
        self._outcome: Outcome | None = None

    def question(self) -> Question | None:
        """The next request; None when the script is over."""
        number = len(self._steps)
        if self._outcome is not None:
            return None
        if number == len(self._probe.steps):
            self._pass()
            return None
        try:
            return question(
                self._table, self._name, self._probe, number, self._side, self._values, f"{self._run}-{number + 1}"
            )
        except UnaskableError as exc:
            step = self._probe.steps[number]
            shown = StepFinding(
                self._label(), "", step.method, self._hiding.target(step.path), problem=self._hiding.text(str(exc))
            )
            self._end(shown, Outcome.UNASKED)
            return None

    def take(self, asked: Question, reply: Reply | NoReply) -> None:
        """What came of the last question."""
        step, hiding = self._probe.steps[len(self._steps)], self._hiding
        target, headers = hiding.target(asked.target), self._shown(asked)
        body = hiding.body(asked.body, _json(asked.body) if step.has_json else ABSENT) if asked.body else ""
        asks = (self._label(), asked.name, step.method, target, headers, body)
        if isinstance(reply, NoReply):
            unreached = Outcome.UNREACHABLE if reply.kind in _UNREACHED else Outcome.FAILED
            self._end(StepFinding(*asks, problem=reply.sentence), self._blamed(asked, unreached))
            return
        changed = Reply(reply.status, asked.answer.applied(dict(reply.headers)), reply.body, reply.seconds)
        judged = judge(step, changed, self._values, hiding)
        finding = StepFinding(*asks, status=reply.status, seconds=reply.seconds, checks=judged.checks)
        if not finding.ok:
            self._end(finding, self._blamed(asked, Outcome.FAILED))
            return
        self._steps.append(finding)
        self._reached.add(asked.route)
        self._values.update(judged.taken)

    def _pass(self) -> None:
        """But for what it guards and never asked: a path with an error in it would be a pass for ever."""
        missed = [name for name in self._probe.routes if name not in self._reached]
        if not missed:
            self._outcome = Outcome.PASSED
            return
        problem = missing(missed[0])
        self._end(replace(self._steps.pop(), problem=problem), Outcome.UNASKED)

    def late(self) -> None:
        """The time that the whole script may take is over."""
        self._break_off(f"the script takes longer than its timeout of {self._probe.timeout:g} s", Outcome.FAILED)

    def broken(self, exc: Exception) -> None:
        """fig failed at it: neither side is to blame, and nothing is known of either."""
        self._break_off(f"fig itself failed at this step: {type(exc).__name__}", Outcome.UNASKED)

    def _break_off(self, problem: str, outcome: Outcome) -> None:
        if self._outcome is not None:
            return
        del self._steps[len(self._probe.steps) - 1 :]  # an answer that was judged too late counts for nothing
        step = self._probe.steps[len(self._steps)]
        target = self._hiding.target(step.path)
        self._end(StepFinding(self._label(), "", step.method, target, problem=problem), outcome)

    def finding(self, seconds: float) -> SideFinding:
        """Once it is over; `seconds` is what it took."""
        assert self._outcome is not None
        left = len(self._probe.steps) - len(self._steps)
        return SideFinding(self._side, self._outcome, tuple(self._steps), left, seconds)

    def _blamed(self, asked: Question, outcome: Outcome) -> Outcome:
        return outcome if asked.side is self._side else Outcome.ELSEWHERE

    def _label(self) -> str:
        number = len(self._steps)
        return self._probe.steps[number].name or str(number + 1)

    def _shown(self, asked: Question) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._hiding.header(name, value)) for name, value in asked.given)

    def _end(self, finding: StepFinding, outcome: Outcome) -> None:
        self._steps.append(finding)
        self._outcome = outcome


def _json(body: bytes) -> Json | Absent:
    try:
        return parse(body)
    except UnreadableError:
        return ABSENT

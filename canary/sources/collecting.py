"""Asking sources for what the evidence of attempts still lacks: each metric in a task of its own, a few per source.

A source that hangs holds up its own metrics only. What fails is tried again after a pause that doubles up to a step;
the metric says meanwhile what is wrong, which is a fault. Nothing is lost by it: the same steps are due until they are
answered, and a restart goes on where the kept evidence ends.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from canary.evidence import Evidence
from canary.measures.sourced import Sourced
from canary.source_spec import Source as SourceSpec
from canary.sources.hiding import Hiding
from canary.sources.opening import opened
from canary.sources.source import Question, Source, SourceError
from canary.spec import Gate

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Questions to one source at a time."""
_FIRST_PAUSE = 1.0
_MOST_QUESTIONS = 10_000
"""Of `collect`, a metric: 120 steps each, or 60."""


@dataclass
class _Line:
    """One source, and who may ask it now."""

    spec: SourceSpec
    source: Source
    hiding: Hiding
    room: asyncio.Semaphore


def _line(spec: SourceSpec) -> _Line:
    return _Line(spec, opened(spec), Hiding(spec), asyncio.Semaphore(AT_ONCE))


class Collector:
    """Keeps sources open and asks them."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since the epoch."""
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._asking: dict[Sourced, asyncio.Task[None]] = {}
        self._pauses: dict[Sourced, tuple[float, float]] = {}
        """What failed: when it is tried again, by the loop's clock, and the pause after that."""
        self._closing: set[asyncio.Task[None]] = set()

    def follow(self, sources: Mapping[str, SourceSpec]) -> None:
        """These are the sources now; one that changed is opened anew."""
        for name in [name for name, line in self._lines.items() if sources.get(name) != line.spec]:
            task = asyncio.ensure_future(self._lines.pop(name).source.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        for name in sources.keys() - self._lines.keys():
            self._lines[name] = _line(sources[name])

    def look(self, attempts: Iterable[Evidence], absent: str = "there is no such source in the rules file") -> None:
        """Begin to ask whatever is due. Returns at once; answers are taken as they come. `absent` is what is wrong with
        a metric whose source is not among those that `follow` was told."""
        now, wanted = self._clock(), {sourced: evidence for evidence in attempts for sourced in evidence.sourced}
        for sourced in [known for known in (*self._asking, *self._pauses) if known not in wanted]:
            self._pauses.pop(sourced, None)
            if (task := self._asking.get(sourced)) is not None:
                task.cancel()
        for sourced, evidence in wanted.items():
            line = self._lines.get(sourced.metric.source or "")
            if line is None:
                sourced.failed(absent)
                continue
            sourced.delay = line.spec.delay
            again, _ = self._pauses.get(sourced, (0.0, 0.0))
            if sourced not in self._asking and _ticks() >= again and sourced.due(now) is not None:
                self._asking[sourced] = asyncio.ensure_future(self._ask(line, sourced, evidence.route))

    async def _ask(self, line: _Line, sourced: Sourced, route: str) -> None:
        try:
            async with line.room:
                went_on = await _asked(line, sourced, route, self._clock(), self._clock, _failed)
        finally:
            del self._asking[sourced]
        if sourced.trouble:
            log.warning("a source lacks numbers", route=route, metric=sourced.metric.name, problem=sourced.trouble)
        if went_on:
            self._pauses.pop(sourced, None)
            return
        _, pause = self._pauses.get(sourced, (0.0, _FIRST_PAUSE))
        self._pauses[sourced] = _ticks() + pause, min(2 * pause, max(sourced.metric.step, _FIRST_PAUSE))

    async def close(self) -> None:
        """End all questions."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, *self._closing, return_exceptions=True)
        await asyncio.gather(*(line.source.close() for line in self._lines.values()), return_exceptions=True)
        self._lines.clear()


def _failed(trace: str) -> None:
    log.error("a source failed in a way that nobody thought of", exception=trace)


def _ticks() -> float:
    return asyncio.get_running_loop().time()


async def _asked(
    line: _Line,
    sourced: Sourced,
    route: str,
    until: float,
    clock: Callable[[], float],
    fault: Callable[[str], object] = lambda trace: None,
) -> bool:
    """Ask for what is due at `until`, and have it taken; whether that went on. The metric says what is wrong; `fault`
    gets the trace of what nobody thought of. Both without the source's secrets."""
    stretch = sourced.due(until)
    if stretch is None:
        return False
    try:
        answer = await line.source.ask(Question(sourced.metric, route, stretch), clock())
        sourced.take(answer, clock())
    except SourceError as exc:
        sourced.failed(line.hiding.text(str(exc)))
    except Exception as exc:  # whatever went wrong, there are no numbers
        fault(line.hiding.whole("".join(traceback.format_exception(exc))))
        sourced.failed(f"asking failed: {type(exc).__name__}")
    return sourced.due(until) != stretch


async def collect(
    route: str,
    gate_name: str,
    gate: Gate,
    sources: Mapping[str, SourceSpec],
    since: float,
    now: float,
    clock: Callable[[], float] = time.time,
) -> Evidence:
    """The evidence that sources alone have from `since` to `now` (seconds since the epoch), for `canary.gate.judge`.

    Without a running fig: metrics of other kinds have none. Never raises; what failed is the metric's trouble, and so
    the judgement's fault. `clock` tells whether a source's own clock is right, also where `now` is long ago.
    """
    evidence = Evidence(route, gate_name, gate, subject="", share=0, since=since, alone=True)
    lines = {
        name: _line(spec)
        for name, spec in sources.items()
        if any(sourced.metric.source == name for sourced in evidence.sourced)
    }

    async def whole(sourced: Sourced) -> None:
        line = lines.get(sourced.metric.source or "")
        if line is None:
            sourced.failed("there is no such source")
            return
        sourced.delay = line.spec.delay
        async with line.room:
            for _ in range(_MOST_QUESTIONS):
                if not await _asked(line, sourced, route, now, clock):
                    return

    try:
        await asyncio.gather(*(whole(sourced) for sourced in evidence.sourced))
    finally:
        await asyncio.gather(*(line.source.close() for line in lines.values()), return_exceptions=True)
    return evidence

"""The collector: who is asked when, what a hanging or failing source does to others, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from canary.evidence import Evidence
from canary.source_spec import Source
from canary.sources import collecting
from canary.sources.collecting import AT_ONCE, Collector
from canary.sources.opening import opened
from canary.sources.source import Question, SourceError
from canary.spec import Gate
from canary.steps import Answer, Stretch
from tests.canary.sources.asking import STEP, gate

SINCE = 3_000_000.0


class Fake:
    """A source that answers every step of both sides with 1, fails while `trouble` says so, or waits for `free`."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.trouble = ""
        self.free = asyncio.Event()
        self.free.set()
        self.at_once = self.most_at_once = 0
        self.closed = False

    async def ask(self, question: Question, now: float) -> Answer:
        self.asked.append(question)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.free.wait()
        finally:
            self.at_once -= 1
        if self.trouble:
            raise SourceError(self.trouble)
        answer = Answer.empty(question.stretch)
        answer.n[:] = answer.total[:] = 1
        return answer

    async def close(self) -> None:
        self.closed = True


class Scene:
    """A collector over fakes, and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = SINCE
        self.fakes: dict[str, Fake] = {}
        self.collector = Collector(lambda: self.now)

    def opened(self, spec: Source) -> Fake:
        assert spec.path is not None
        self.fakes[spec.path] = Fake()
        return self.fakes[spec.path]

    async def look(self, *attempts: Evidence) -> None:
        self.collector.look(attempts)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    found = Scene()
    monkeypatch.setattr(collecting, "opened", found.opened)
    found.collector.follow({"one": spec("one"), "two": spec("two")})
    yield found
    await found.collector.close()


def spec(path: str, **changes: Any) -> Source:
    return Source.model_validate({"kind": "csv", "path": path, "delay": "0s"} | changes)


def attempt(*sources: str, route: str = "shop") -> Evidence:
    metrics = [
        {"name": f"m{n}", "kind": "query", "source": source, "margin": "10%"} for n, source in enumerate(sources)
    ]
    return Evidence(route, "g", Gate.model_validate({"metrics": metrics}), subject="", share=0, since=SINCE)


async def test_every_step_is_asked_for_once_when_it_is_over(scene: Scene) -> None:
    evidence = attempt("one")
    await scene.look(evidence)
    scene.now += STEP - 1
    await scene.look(evidence)
    assert not scene.fakes["one"].asked

    for _ in range(3):
        scene.now += STEP
        await scene.look(evidence)
        await scene.look(evidence)

    asked = [(question.stretch.begin - SINCE, question.stretch.end - SINCE) for question in scene.fakes["one"].asked]
    assert asked == [(0, 30), (30, 60), (60, 90)]
    assert evidence.sourced[0].read(0.05).legacy_count == 3


async def test_a_source_that_hangs_delays_no_other(scene: Scene) -> None:
    hanging, fine = attempt("one", route="a"), attempt("two", route="b")
    scene.fakes["one"].free.clear()
    scene.now += STEP
    await scene.look(hanging, fine)

    assert fine.sourced[0].answered == scene.now
    assert hanging.sourced[0].answered == 0
    await scene.look(hanging, fine)
    assert len(scene.fakes["one"].asked) == 1


async def test_one_source_is_asked_a_few_questions_at_a_time(scene: Scene) -> None:
    evidence = attempt(*["one"] * 20)
    scene.fakes["one"].free.clear()
    scene.now += STEP
    await scene.look(evidence)
    assert scene.fakes["one"].at_once == AT_ONCE

    scene.fakes["one"].free.set()
    for _ in range(10):
        await scene.look(evidence)

    assert all(sourced.answered for sourced in evidence.sourced)
    assert scene.fakes["one"].most_at_once == AT_ONCE


async def test_what_failed_is_tried_again_after_a_pause_and_nothing_is_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = 0.0
    monkeypatch.setattr(collecting, "_ticks", lambda: ticks)
    evidence, fake = attempt("one"), scene.fakes["one"]
    fake.trouble = "the store is away"
    scene.now += STEP
    await scene.look(evidence)
    await scene.look(evidence)
    assert len(fake.asked) == 1
    assert evidence.sourced[0].problem(scene.now) == "the store is away (source 'one')"

    fake.trouble = ""
    ticks, scene.now = 1.0, scene.now + STEP
    await scene.look(evidence)

    assert evidence.sourced[0].problem(scene.now) == ""
    assert evidence.sourced[0].read(0.05).legacy_count == 2


async def test_an_attempt_that_is_over_is_asked_for_no_more(scene: Scene) -> None:
    evidence = attempt("one")
    scene.fakes["one"].free.clear()
    scene.now += STEP
    await scene.look(evidence)
    await scene.look()

    assert scene.fakes["one"].at_once == 0


async def test_a_source_that_changed_is_opened_anew_and_one_that_is_gone_is_told(scene: Scene) -> None:
    former, evidence = scene.fakes["one"], attempt("one", "two")
    scene.collector.follow({"one": spec("one", delay="1s")})
    scene.now += 2 * STEP
    await scene.look(evidence)

    assert former.closed
    assert not former.asked
    assert scene.fakes["one"].asked
    assert evidence.sourced[1].problem(scene.now).startswith("there is no such source in the rules file")


async def test_what_nobody_thought_of_is_a_fault_and_not_the_end(scene: Scene) -> None:
    async def broken(_question: Question, _now: float) -> Answer:
        raise ZeroDivisionError

    scene.fakes["one"].ask = broken  # type: ignore[method-assign]
    evidence = attempt("one")
    scene.now += STEP
    await scene.look(evidence)

    assert "asking failed: ZeroDivisionError" in evidence.sourced[0].problem(scene.now)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "prometheus", "url": "http://reader:hidden-word@prometheus", "ca": "a\0b"},
        {"kind": "sql", "url": "sqlite:///orders.db?timeout=soon"},
    ],
)
async def test_a_source_that_cannot_be_opened_at_all_says_so_when_it_is_asked(given: dict[str, Any]) -> None:
    """Control follows sources as rules change; it must not end of one."""
    source = opened(Source.model_validate(given))
    with pytest.raises(SourceError, match=r"cannot be opened: ValueError|could not convert") as raised:
        await source.ask(Question(gate().metrics[0], "products", Stretch(1, 1, 30)), 0.0)
    await source.close()

    assert "hidden-word" not in str(raised.value)

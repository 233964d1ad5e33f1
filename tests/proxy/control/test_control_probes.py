"""Probes in control: when they are run, what they hold up and take back, and where it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from canary.rollout import Move, Rollout
from proxy.cli.figures import status_table
from proxy.control.book import Book
from proxy.control.prober import ASKED_FOR, Prober
from proxy.control.records import Standing
from proxy.probing.findings import Finding, Outcome, SideFinding
from proxy.probing.running import Ground
from proxy.publication import published
from proxy.rulebook import load
from rules.effective import Effective
from rules.stages import Side, Stage
from shadow.certifying.terms import day_of, digest_of
from shadow.comparing.compare import Judged
from shadow.comparing.differences import Outcome as Differences
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair
from tests.fakes.probed import Probed, both, probe, rules_of, says
from tests.fakes.probed import write as write_rules
from tests.fakes.running_control import control
from tests.fakes.worker_link import workers

ONE_STEP = Move(Stage.CANARY, 100_000, "")
GATES = {"errors": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}}
ROLLOUT = {"steps": ["10%", "50%"], "hold": "1h", "gate": "errors"}


# --- the prober alone -------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """Holds a book, and what was noted."""

    book: Book
    noted: list[tuple[str, str, str]] = field(default_factory=list)

    async def note(self, name: str, action: str, actor: str, why: str, evidence: Mapping[str, Any]) -> None:
        self.noted.append((name, action, why))


@dataclass
class Runs:
    """In place of a Runner: what the sides make of it is set, and runs are counted."""

    candidate: Outcome = Outcome.PASSED
    legacy: Outcome = Outcome.PASSED
    at: float = 0.0
    count: int = 0

    async def run(self, ground: Ground, name: str, sides: Sequence[Side]) -> Finding:
        self.count += 1
        outcomes = {Side.LEGACY: self.legacy, Side.CANDIDATE: self.candidate}
        found = tuple(SideFinding(side, outcomes[side], (), 0, 0.1) for side in sides)
        return Finding(name, ground.probes[name].routes, ground.probes[name].critical, self.at, found)


class World:
    """A prober over one probe of the route cart, and its clock."""

    def __init__(self, folder: Path, stage: Stage, **keys: Any) -> None:
        self.folder = folder
        self.keys = keys
        self.now = 1000.0
        rulebook = self.load()
        rollout = Rollout(stage, 100_000 if stage is Stage.CANARY else 0, 0.0)
        standings = {"cart": Standing("cart", rollout, stage.value)}
        self.desk = Desk(Book(Effective(1, rulebook.rules), standings, rulebook))
        self.prober = Prober(self.desk, lambda: self.now)
        self.runs = Runs()

    def load(self) -> Any:
        rules = rules_of("http://old", "http://new", {"buy": probe(**self.keys)}, rollout=ROLLOUT)
        return load(write_rules(self.folder, {**rules, "gates": GATES}))

    async def look(self) -> None:
        """What is due is run to its end."""
        self.runs.at = self.now
        self.prober.look(self.runs)  # type: ignore[arg-type]
        await asyncio.gather(*self.prober._running.values())

    def harm(self) -> str:
        return self.prober.tripped("cart", self.desk.book.rulebook.rollouts["cart"], self.now)  # type: ignore[union-attr]

    def reasons(self) -> list[str]:
        rollout = self.desk.book.standings["cart"].rollout
        return list(self.prober.reasons("cart", rollout, ONE_STEP, self.now))


async def test_a_first_share_waits_for_a_pass_on_the_candidate(tmp_path: Path) -> None:
    world = World(tmp_path, Stage.SHADOW)
    await world.look()
    assert world.runs.count == 0, "nobody wants to move the route"
    assert world.reasons() == ["probe 'buy' has not been run on this candidate yet"]
    world.runs.candidate = Outcome.FAILED
    await world.look()
    [reason] = world.reasons()
    assert reason.startswith("probe 'buy' fails on the candidate, legacy passes")
    await world.look()
    assert world.runs.count == 1, "not again before its time"
    world.now += 60
    world.runs.candidate = Outcome.PASSED
    world.reasons()
    await world.look()
    assert (world.runs.count, world.reasons()) == (2, [])
    assert [action for _, action, _ in world.desk.noted] == ["probe", "probe"]


async def test_a_pass_grows_old(tmp_path: Path) -> None:
    world = World(tmp_path, Stage.SHADOW)
    world.reasons()
    await world.look()
    world.now += 299
    assert world.reasons() == []
    world.now += 2
    assert world.reasons() == ["probe 'buy' has not passed on the candidate for 300s"]
    await world.look()
    assert world.reasons() == []


async def test_nobody_who_stopped_waiting_has_a_probe_run(tmp_path: Path) -> None:
    world = World(tmp_path, Stage.SHADOW)
    world.reasons()
    world.now += ASKED_FOR
    await world.look()
    assert world.runs.count == 0


async def test_in_canary_a_probe_is_run_at_its_time(tmp_path: Path) -> None:
    world = World(tmp_path, Stage.CANARY, every="30s")
    for _ in range(10):
        await world.look()
        world.now += 10
    assert world.runs.count == 4
    assert len(world.desk.noted) == 1, "only what changed is told"


async def test_other_rules_make_it_another_probe(tmp_path: Path) -> None:
    world = World(tmp_path, Stage.CANARY, critical=True)
    world.runs.candidate = Outcome.FAILED
    await world.look()
    await world.look()
    assert world.harm()
    world.desk.book = replace(world.desk.book, rulebook=world.load())
    assert world.harm() == ""
    assert world.reasons() == ["probe 'buy' has not been run on this candidate yet"]
    world.runs.candidate = Outcome.PASSED
    await world.look()
    assert world.reasons() == []


@pytest.mark.parametrize(
    ("legacy", "candidate", "critical", "is_harm"),
    [
        (Outcome.PASSED, Outcome.FAILED, True, True),
        (Outcome.PASSED, Outcome.UNREACHABLE, True, True),
        (Outcome.PASSED, Outcome.FAILED, False, False),
        (Outcome.FAILED, Outcome.FAILED, True, False),
        (Outcome.PASSED, Outcome.ELSEWHERE, True, False),
        (Outcome.FAILED, Outcome.PASSED, True, False),
    ],
)
async def test_harm_is_a_critical_probe_that_fails_twice_what_legacy_passes(
    tmp_path: Path, legacy: Outcome, candidate: Outcome, critical: bool, is_harm: bool
) -> None:
    world = World(tmp_path, Stage.CANARY, critical=critical)
    world.runs.legacy, world.runs.candidate = legacy, candidate
    await world.look()
    assert world.harm() == "", "one failure may be a lost packet"
    await world.look()
    assert bool(world.harm()) == is_harm
    assert world.runs.count == (2 if is_harm else 1)
    world.now += 301
    assert world.harm() == "", "nobody knows how it is now"


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.PASSED])
async def test_whatever_is_no_pass_stands_against_a_move(tmp_path: Path, outcome: Outcome) -> None:
    world = World(tmp_path, Stage.CANARY)
    world.runs.candidate = outcome
    await world.look()
    assert world.reasons()


async def test_a_probe_that_fails_in_itself_stands_against_a_move(tmp_path: Path) -> None:
    class Broken(Runs):
        async def run(self, ground: Ground, name: str, sides: Sequence[Side]) -> Finding:
            raise RuntimeError

    world = World(tmp_path, Stage.CANARY)
    await world.look()
    assert not world.reasons()
    world.runs, world.now = Broken(), world.now + 60
    await world.look()
    assert world.reasons()


# --- in a running control ---------------------------------------------------------------------------------------------


def write(folder: Path, legacy: Probed, candidate: Probed, stage: str, **keys: Any) -> None:
    rules = rules_of(legacy, candidate, {"buy": probe(**keys)}, stage=stage, rollout=ROLLOUT)
    if stage == "canary":
        rules["routes"][0]["share"] = "10%"
    write_rules(folder, {**rules, "gates": GATES})


def shown(status: dict[str, Any]) -> str:
    """What `fig status` shows."""
    console = Console(width=2000, record=True, file=StringIO())
    console.print(status_table(status))
    return console.export_text()


async def test_a_critical_probe_takes_its_route_back_and_history_says_why(tmp_path: Path) -> None:
    with both(says(200), says(500)) as (legacy, candidate):
        write(tmp_path, legacy, candidate, "canary", critical=True)
        async with control(tmp_path) as running, workers(running.state, "loaded"):

            async def is_back() -> bool:
                return bool((await running.route())["stage"] == "shadow")

            await running.until(is_back)
            history = (await running.api.get("/api/history")).json()["history"]
            page = (await running.api.get("/metrics")).text
            status = await running.status()
            [told] = status["routes"][0]["probes"]
    assert "probe 'buy' fails on the candidate" in shown(status)
    [move] = [line for line in history if line["action"] == "rollback"]
    assert (move["actor"], move["after"]["stage"]) == ("pilot", "shadow")
    assert move["why"].startswith("critical probe 'buy' fails on the candidate, legacy passes: step 1: status:")
    [probed] = [line for line in history if line["action"] == "probe"]
    assert probed["evidence"]["probe"]["sides"]["candidate"]["steps"][0]["status"] == 500
    assert told["result"] == "candidate fails"
    assert 'fig_probe_success{probe="buy",side="legacy"} 1' in page
    assert 'fig_probe_success{probe="buy",side="candidate"} 0' in page
    assert 'fig_probe_seconds{probe="buy",side="candidate"}' in page


async def test_the_pilot_takes_no_first_step_before_the_probe_passed(tmp_path: Path) -> None:
    with both(says(200), says(500)) as (legacy, candidate):
        write(tmp_path, legacy, candidate, "shadow", every="1s")
        async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
            await worker.at(1)
            table = published(running.state)
            assert table is not None
            digest = digest_of(table.rules, table.routes["cart"], Comparison(), day_of(time.time()))
            store = PairStore(running.state / "pairs.db", bytes(32))
            store.start_window("cart", digest, "this one", time.time())
            same = answer({"id": 1})
            pairs = [pair(same, same, number, route="cart") for number in range(400)]
            store.add_many([Judged(each, Differences((), ()), Comparison()) for each in pairs])
            store.close()

            async def waits() -> bool:
                return any("fails on the candidate" in why for why in (await running.route())["waiting"])

            async def moved() -> bool:
                return bool((await running.route())["stage"] == "canary")

            await running.until(waits)
            assert not await moved()
            assert shown(await running.status()).count("probe 'buy' fails on the candidate") == 1
            candidate.behave = says(200)
            await running.until(moved)

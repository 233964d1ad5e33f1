"""`fig shadow doubts` and the action behind `settle`, on a journal that a real shadower wrote."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli.shadow.doubts import app
from proxy.shadower.commands import Instruction, MalformedError
from proxy.wire import Granted
from shadow.journal.journal import UnfitError
from shadow.journal.writes import Standing
from tests.fakes.remembering import Remembering, at_first
from tests.fakes.shadowing import Inside, Worker, effective, eventually, shadowing

RULE = {"path": "/orders/{order}?key={header:idempotency-key}", "within": "0.05s", "patience": "0.05s"}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "200")
    yield


async def doubtful(fig: Inside, state: Path) -> None:
    """One write in doubt, of which legacy says nothing that could be used."""
    async with Worker(state, pid=4242) as worker:
        assert isinstance(await worker.intend("17", b"lost"), Granted)
    await eventually(lambda: fig.standing == Standing(in_doubt=1), "in doubt")


def settle(fig: Inside, *, applied: bool, sequence: int = 1, why: str = "I looked") -> Instruction:
    return Instruction({"sequences": [sequence], "applied": applied}, "ada", why)


async def test_doubts_are_listed_with_what_was_asked_and_answered(tmp_path: Path) -> None:
    async with (
        Remembering(answers=lambda: 503) as legacy,
        shadowing(tmp_path, effective(9, legacy=legacy.port, read_back=RULE)) as fig,
    ):
        await doubtful(fig, tmp_path)
        await eventually(lambda: "status 503" in run(tmp_path).output, "the question noted")

        told = run(tmp_path, "--json")
        (one,) = json.loads(told.output)
        assert told.exit_code == 4
        assert (one["sequence"], one["route"], one["in_question"], one["what"]) == (1, "checkout", "legacy", "write")
        assert one["reason"] == "worker lost"
        assert one["asked"]["target"] == "/orders/17?key=idem-17-lost"
        assert one["asked"]["why"] == "status 503, not 2xx"
        assert "GET /orders/17?key=idem-17-lost" in run(tmp_path).output
        assert run(tmp_path, "--json", "--route", "another").exit_code == 2, "there is no such route"


def run(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--state", str(state), *arguments])


async def test_where_nothing_is_in_doubt_the_exit_code_is_0(tmp_path: Path) -> None:
    async with shadowing(tmp_path, effective(9)):
        told = run(tmp_path)

    assert (told.exit_code, told.output) == (0, "nothing is in doubt\n")


async def test_a_person_says_that_a_write_was_applied_and_its_copy_is_owed(tmp_path: Path) -> None:
    async with Remembering() as candidate, shadowing(tmp_path, effective(candidate.port)) as fig:
        await doubtful(fig, tmp_path)

        effect = await fig.shadower.commands.actions["doubts-settle"](settle(fig, applied=True))

        assert effect.result == {"settled": [{"sequence": 1, "state": "answered"}]}
        assert list(effect.routes) == ["checkout"]
        await eventually(lambda: candidate.bodies("/orders/17") == ["lost"], "the copy delivered")
        await eventually(lambda: fig.standing == Standing(declared=1), "what was decided stays told")


async def test_a_person_says_that_a_write_was_not_applied_and_nothing_is_owed(tmp_path: Path) -> None:
    async with shadowing(tmp_path, effective(9)) as fig:
        await doubtful(fig, tmp_path)

        effect = await fig.shadower.commands.actions["doubts-settle"](settle(fig, applied=False))

        assert effect.result == {"settled": [{"sequence": 1, "state": "void"}]}
        assert fig.standing == Standing(declared=1)


async def test_a_copy_that_a_person_says_was_not_applied_is_sent_again(tmp_path: Path) -> None:
    async with (
        Remembering(behave=at_first("break")) as candidate,
        shadowing(tmp_path, effective(candidate.port, dedupe=None)) as fig,
        Worker(tmp_path) as worker,
    ):
        await worker.write("17", b"first")
        await eventually(lambda: fig.standing == Standing(in_doubt=1), "in doubt")

        await fig.shadower.commands.actions["doubts-settle"](settle(fig, applied=False))

        await eventually(lambda: candidate.bodies("/orders/17") == ["first"], "the copy delivered")


async def test_what_is_not_in_doubt_or_has_no_reason_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with shadowing(tmp_path, effective(9)) as fig:
        await doubtful(fig, tmp_path)
        action = fig.shadower.commands.actions["doubts-settle"]

        with pytest.raises(UnfitError, match="write 7 is not in doubt"):
            await action(settle(fig, applied=True, sequence=7))
        with pytest.raises(MalformedError, match="say why"):
            await action(settle(fig, applied=True, why=" "))
        with pytest.raises(MalformedError, match="say whether they are applied"):
            await action(Instruction({"sequences": [1]}, "ada", "I looked"))
        assert fig.standing == Standing(in_doubt=1)


def test_settle_wants_a_decision_and_a_reason(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        undecided = CliRunner().invoke(app, ["settle", "1", "--why", "I looked"])
        unreasoned = CliRunner().invoke(app, ["settle", "1", "--applied"])

    assert (undecided.exit_code, unreasoned.exit_code) == (2, 2)
    assert "say --applied or --not-applied" in undecided.output
    assert "say why (--why)" in unreasoned.output

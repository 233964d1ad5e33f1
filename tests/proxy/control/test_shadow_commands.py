"""Commands to the shadower, by way of control's admin API: carried out, refused with a sentence, kept in history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.control.commanding import AwayError, Commanding
from proxy.shadower.commands import Effect, Instruction, MalformedError, RefusedError
from proxy.wire import Command, Done, Record
from tests.fakes.running_control import Running, control, write
from tests.fakes.shadowing import Inside


async def ask(running: Running, action: str, **body: Any) -> httpx.Response:
    return await running.api.post(f"/api/shadow/{action}", json=body)


async def until_taken(running: Running) -> None:
    """Until the shadower's link to control is there."""

    async def look() -> bool:
        return (await ask(running, "ping")).status_code == 200

    await running.until(look)


async def test_a_command_is_carried_out_and_what_it_changed_is_in_the_history(tmp_path: Path) -> None:
    write(tmp_path)
    told: list[Instruction] = []

    async def change(instruction: Instruction) -> Effect:
        told.append(instruction)
        return Effect({"count": 2}, ["cart"])

    async with control(tmp_path, 0) as running:
        shadower = Inside(running.state)
        shadower.start()
        shadower.shadower.commands.actions["change"] = change
        await until_taken(running)

        answer = await ask(running, "change", arguments={"sequences": [1, 2]}, why="they are tests", by="ada")

        assert (answer.status_code, answer.json()) == (200, {"count": 2})
        assert told == [Instruction({"sequences": [1, 2]}, "ada", "they are tests")]
        [line] = [one for one in (await running.api.get("/api/history")).json()["history"] if one["actor"] == "ada"]
        assert (line["route"], line["action"], line["why"]) == ("cart", "shadow change", "they are tests")
        assert line["before"] == line["after"] == {"stage": "shadow", "share": 0.0, "frozen": False}
        assert line["evidence"] == {"arguments": {"sequences": [1, 2]}, "result": {"count": 2}}
        assert (await running.route())["stage"] == "shadow"  # a line of history moves nothing
        await shadower.end()


async def test_what_is_refused_comes_with_a_sentence_and_leaves_no_line(tmp_path: Path) -> None:
    write(tmp_path)

    async def refuse(instruction: Instruction) -> Effect:
        if instruction.number("sequence") == 0:
            raise MalformedError("sequences begin at 1")
        raise RefusedError("write 7 is not dead")

    async def fail(_: Instruction) -> Effect:
        raise ZeroDivisionError

    async with control(tmp_path, 0) as running:
        shadower = Inside(running.state)
        shadower.start()
        shadower.shadower.commands.actions |= {"refuse": refuse, "fail": fail}
        await until_taken(running)
        before = (await running.api.get("/api/history")).json()

        answers = [
            await ask(running, "refuse", arguments={"sequence": 7}),
            await ask(running, "refuse", arguments={"sequence": 0}),
            await ask(running, "refuse", arguments={"sequence": "7"}),
            await ask(running, "fail"),
            await ask(running, "dance"),
            await ask(running, "ping", arguments={"deep": {"er": 1}}),
            await ask(running, "ping", arguments={"keys": ["a", 1, True]}),
            await ask(running, "ping", arguments={"keys": [1.0]}),
        ]

        assert [answer.status_code for answer in answers] == [409, 400, 400, 409, 400, 400, 400, 400]
        sentences = [answer.json()["error"] for answer in answers]
        assert sentences[:3] == ["write 7 is not dead", "sequences begin at 1", "'sequence' is to be a whole number"]
        assert "ZeroDivisionError" in sentences[3]
        assert sentences[4] == "no action 'dance'; there are: " + ", ".join(sorted(shadower.shadower.commands.actions))
        assert sentences[6] == sentences[7] == "arguments: 'keys' is to be a list of texts and whole numbers only"
        assert (await running.api.get("/api/history")).json() == before
        await shadower.end()


async def test_while_the_shadower_is_away_a_command_gets_503(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 0) as running:
        answer = await ask(running, "ping")

        assert answer.status_code == 503
        assert "nothing was changed" in answer.json()["error"]


async def test_a_shadower_that_goes_away_before_it_answers_is_said_at_once() -> None:
    sent: list[Record] = []
    commanding = Commanding(lambda record: sent.append(record) is None)
    asking = asyncio.create_task(commanding.ask("drop", {}, "ada", "", patience=60.0))
    await asyncio.sleep(0)

    commanding.lost()

    with pytest.raises(AwayError, match="may have been carried out or not"):
        await asking


async def test_an_answer_that_comes_too_late_is_told_to_nobody() -> None:
    sent: list[Record] = []
    commanding = Commanding(lambda record: sent.append(record) is None)

    with pytest.raises(AwayError, match=r"within 0\.01 s"):
        await commanding.ask("drop", {}, "ada", "", patience=0.01)

    [command] = sent
    assert isinstance(command, Command)
    commanding.take(Done(command.id))

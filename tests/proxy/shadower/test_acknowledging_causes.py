"""A cause is acknowledged over control's admin API, by the shadower, and stands in the history."""

from __future__ import annotations

from pathlib import Path

from shadow.causes.states import Known, State
from shadow.comparing.compare import judge
from shadow.pairs.cause_reader import read_causes
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.sealing import load_key
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair
from tests.fakes.running_control import Running, control, write
from tests.fakes.shadowing import Inside


def fill(state: Path) -> None:
    store = PairStore(state / "pairs.db", load_key(state / "key"))
    for number in range(3):
        legacy, candidate = answer({"price": number + 0.25}), answer({"price": number * 100 + 25})
        store.add_many([judge(pair(legacy, candidate, number, route="cart"), Comparison())])
    store.close()


def read(state: Path) -> Known:
    with PairReader(state / "pairs.db") as reader:
        (known,) = read_causes(reader, "cart")
    return known


async def ask(running: Running, action: str, why: str = "", **arguments: str) -> tuple[int, str]:
    body = {"arguments": arguments, "why": why, "by": "ada"}
    answered = await running.api.post(f"/api/shadow/{action}", json=body)
    return answered.status_code, answered.text


async def test_a_cause_is_acknowledged_and_forgotten_and_both_are_in_the_history(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path, 0) as running:
        fill(running.state)
        shadower = Inside(running.state)
        shadower.start()

        async def taken() -> bool:
            return (await ask(running, "ping"))[0] == 200

        await running.until(taken)
        cause = read(running.state).cause.id

        assert await ask(running, "cause-acknowledge", cause=cause) == (
            400,
            '{"error": "say why (--why): it stands in the history and in the certificate"}',
        )
        status, told = await ask(running, "cause-acknowledge", "cents", cause="none")
        assert (status, "there is no cause 'none'" in told) == (409, True)
        assert (await ask(running, "cause-acknowledge", "cents are meant", cause=cause[:6]))[0] == 200
        assert (read(running.state).state, read(running.state).why) == (State.ACKNOWLEDGED, "ada: cents are meant")

        assert (await ask(running, "cause-forget", cause=cause))[0] == 200
        assert read(running.state).state is State.NEW
        assert (await ask(running, "cause-forget", cause=cause))[0] == 409

        history = (await running.api.get("/api/history")).json()["history"]
        lines = {(one["action"], one["route"], one["why"]) for one in history if one["actor"] == "ada"}
        assert lines == {
            ("shadow cause-acknowledge", "cart", "cents are meant"),
            ("shadow cause-forget", "cart", ""),
        }
        await shadower.end()

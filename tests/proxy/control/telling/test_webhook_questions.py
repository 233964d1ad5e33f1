"""Webhooks that are asked before a move forward: once for each, beside whoever wants it, and never about a way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from canary.rollout import Move, Rollout
from proxy.control.standings import MoveError
from proxy.control.telling.asking import INTENTIONS, Questions
from proxy.control.telling.happenings import Intention
from proxy.control.telling.posting import Poster
from proxy.control.telling.signature import HEADER, is_genuine
from proxy.control.telling.spec import Webhook
from rules.effective import Position
from rules.stages import MILLION, Stage
from tests.fakes.ports import free_port
from tests.fakes.receiver import Receiver

SECRET = "correct-horse-battery"
ROLLOUT = Rollout(Stage.CANARY, 50_000, since=100.0, began=50.0)
STEP = Move(Stage.CANARY, 250_000, "5% held for 600 s")
LIVE = Move(Stage.LIVE, MILLION, "proven")
BACK = Move(Stage.SHADOW, 0, "too slow")


class Asking:
    """Questions to webhooks, with the clock in hand, and what was noted and counted."""

    def __init__(self, hooks: dict[str, Webhook]) -> None:
        self.now = 1000.0
        self.hooks = hooks
        self.noted: list[tuple[str, str, str]] = []
        self.counted: list[tuple[str, str, str]] = []
        self.poster = Poster()
        self.questions = Questions(
            lambda: self.hooks, self.poster, self._note, lambda *what: self.counted.append(what), lambda: self.now
        )

    async def _note(self, route: str, who: str, why: str) -> None:
        self.noted.append((route, who, why))

    def look(self, move: Move = STEP, rollout: Rollout = ROLLOUT, route: str = "products") -> list[str]:
        return list(self.questions.reasons(route, rollout, move, self.now))

    async def settled(self, move: Move = STEP, rollout: Rollout = ROLLOUT) -> list[str]:
        """What stands against the move once everybody has answered."""
        async with asyncio.timeout(30):
            while any(reason.startswith("waits") for reason in self.look(move, rollout)):
                await asyncio.sleep(0.005)
        return self.look(move, rollout)


def hook(url: str, **others: Any) -> Webhook:
    return Webhook.model_validate({"url": url, "secret": SECRET, "attempts": 1, **others})


@asynccontextmanager
async def asking(server: Receiver, **others: Any) -> AsyncIterator[Asking]:
    """One webhook, `calendar`, at the server."""
    async with server:
        found = Asking({"calendar": hook(server.url, **others)})
        yield found
        await found.questions.stop()
        await found.poster.close()


def intention(move: Move) -> Intention:
    return Intention("products", Position(Stage.CANARY, 50_000), 100.0, Position(move.stage, move.share))


async def test_a_move_waits_for_the_answer_and_then_may_be_made() -> None:
    server = Receiver()
    async with asking(server) as fig:
        assert fig.look() == ["waits for the answer of webhook 'calendar'"]
        assert await fig.settled() == []
        assert fig.counted == [("calendar", "before", "allowed")]
        assert fig.noted == []


async def test_looking_again_asks_nothing_again() -> None:
    server = Receiver()
    async with asking(server) as fig:
        for _ in range(50):
            fig.look()
        await fig.settled()
        for _ in range(50):
            fig.look()
        assert len(server.posted) == 1


async def test_the_question_says_what_is_intended_and_is_signed() -> None:
    server = Receiver()
    async with asking(server) as fig:
        await fig.settled()
        [posted] = server.posted
        assert is_genuine(SECRET, posted.body, posted.headers[HEADER], float(posted.headers[HEADER][2:12]))
        document = posted.document
        assert document.pop("id") == posted.headers["Idempotency-Key"]
        assert document == {
            "version": 1,
            "when": "before",
            "kind": "step",
            "route": "products",
            "before": {"stage": "canary", "share": 0.05, "frozen": False},
            "after": {"stage": "canary", "share": 0.25, "frozen": False},
            "actor": "pilot",
            "why": "5% held for 600 s",
            "at": 1000.0,
        }


async def test_a_veto_stands_with_its_reason_and_is_noted_once() -> None:
    server = Receiver([(200, {"allow": False, "reason": "freeze until Monday"})])
    async with asking(server, ask_again="1m") as fig:
        assert await fig.settled() == ["webhook 'calendar': freeze until Monday"]
        fig.now += 61
        assert await fig.settled() == ["webhook 'calendar': freeze until Monday"]
        assert len(server.posted) == 2
        assert fig.noted == [("products", "webhook calendar", "webhook 'calendar': freeze until Monday")]


async def test_a_refused_move_is_asked_about_anew_after_a_while() -> None:
    server = Receiver([(200, {"allow": False}), 200])
    async with asking(server, ask_again="1m") as fig:
        assert await fig.settled()
        fig.now += 59
        assert fig.look() == ["webhook 'calendar': it gave no reason"]
        fig.now += 1
        assert fig.look() == ["waits for the answer of webhook 'calendar'"]
        assert await fig.settled() == []
        first, second = server.posted
        assert first.document["id"] != second.document["id"]


async def test_an_answer_of_a_clock_ahead_does_not_hold_until_the_clock_is_there_again() -> None:
    async with asking(server := Receiver()) as fig:
        await fig.settled()
        fig.now -= 7200.0
        fig.look()
        await server.got(2)


async def test_another_move_is_another_question_and_so_is_the_same_one_another_time() -> None:
    server = Receiver()
    async with asking(server) as fig:
        await fig.settled()
        await fig.settled(replace(STEP, share=500_000))
        await fig.settled(rollout=replace(ROLLOUT, since=900.0))
        assert len({one.document["id"] for one in server.posted}) == 3


async def test_a_webhook_whose_rules_changed_is_asked_anew() -> None:
    server = Receiver([(200, {"allow": False}), 200])
    async with asking(server) as fig:
        assert await fig.settled()
        fig.hooks["calendar"] = fig.hooks["calendar"].model_copy(update={"timeout": 3.0})
        assert await fig.settled() == []


@pytest.mark.parametrize(("on_failure", "may"), [("hold", False), ("go", True)])
async def test_silence_is_what_the_rules_say_it_is(on_failure: str, may: bool) -> None:
    fig = Asking({"calendar": hook(f"http://127.0.0.1:{free_port()}", on_failure=on_failure)})
    reasons = await fig.settled()
    await fig.poster.close()
    assert (not reasons) is may
    assert fig.counted == [("calendar", "before", "unreached")]
    assert len(fig.noted) == (0 if may else 1)


async def test_a_way_back_asks_nobody() -> None:
    server = Receiver([(200, {"allow": False})])
    async with asking(server) as fig:
        assert fig.look(BACK) == []
        assert await fig.questions.permit(intention(BACK), "anna", "") is False
        assert server.posted == []


async def test_only_webhooks_that_the_move_concerns_are_asked() -> None:
    server = Receiver([(200, {"allow": False})])
    async with asking(server, routes=["cart"]) as fig:
        assert fig.look() == []
        fig.hooks["calendar"] = hook(server.url, moves=["promote"])
        assert fig.look() == []
        assert fig.look(LIVE) == ["waits for the answer of webhook 'calendar'"]
        fig.hooks["calendar"] = hook(server.url, when=["after"])
        assert fig.look(LIVE) == []


async def test_a_persons_move_waits_for_the_answer() -> None:
    server = Receiver()
    async with asking(server) as fig:
        assert await fig.questions.permit(intention(STEP), "anna", "looks good") is True
        assert server.posted[0].document["actor"] == "anna"


async def test_a_persons_move_is_refused_with_every_reason() -> None:
    server = Receiver([(200, {"allow": False, "reason": "not on Fridays"})])
    async with asking(server) as fig:
        with pytest.raises(MoveError, match="route 'products' stays: webhook 'calendar': not on Fridays"):
            await fig.questions.permit(intention(STEP), "anna", "")


async def test_a_person_does_not_wait_for_ever() -> None:
    server = Receiver()
    server.silent = True
    async with asking(server, timeout="30s") as fig:
        with pytest.raises(MoveError, match="waits for the answer of webhook 'calendar'"):
            await fig.questions.permit(intention(STEP), "anna", "", patience=0.05)


async def test_what_is_remembered_is_bounded() -> None:
    server = Receiver()
    async with asking(server) as fig:
        for share in range(60_000, 60_000 + 3 * INTENTIONS):
            fig.look(replace(STEP, share=share))
        [of_route] = fig.questions._asked.values()
        assert len(of_route) == INTENTIONS
        fig.questions.forget({})
        assert not fig.questions._asked
        async with asyncio.timeout(30):
            while len(fig.counted) < 3 * INTENTIONS:
                await asyncio.sleep(0.005)

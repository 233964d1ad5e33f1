"""Posting to real servers: attempts, time limits, what is read of answers, and what errors do not tell."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from proxy.control.telling.posting import Parcel, Poster
from proxy.control.telling.retrying import MOST
from proxy.control.telling.signature import HEADER, is_genuine
from proxy.control.telling.spec import Notify
from tests.fakes.ports import free_port
from tests.fakes.receiver import Receiver, Reply

PARCEL = Parcel(b'{"a": 1}', "number-1")


class Naps:
    """Sleeps for no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def receiver(url: str, **others: Any) -> Notify:
    return Notify.model_validate({"url": url, **others})


async def posted(replies: list[Reply], secret: str | None = None, **others: Any) -> tuple[Any, Receiver, Naps]:
    """The outcome of one parcel that is posted to a server with these replies."""
    naps = Naps()
    poster = Poster(clock=lambda: 1000.0, chance=lambda: 0.5, sleep=naps)
    async with Receiver(replies) as server:
        outcome = await poster.deliver(receiver(server.url, **others), secret, PARCEL)
    await poster.close()
    return outcome, server, naps


async def test_an_attempt_that_fails_is_repeated_with_the_same_id_and_longer_waits() -> None:
    outcome, server, naps = await posted([503, 500, 200], backoff="1s")

    assert outcome.accepted
    assert [one.headers["Idempotency-Key"] for one in server.posted] == ["number-1"] * 3
    assert {one.body for one in server.posted} == {PARCEL.body}
    assert naps.seconds == [0.5, 1.0]


async def test_after_the_last_attempt_it_is_given_up() -> None:
    outcome, server, naps = await posted([503], attempts=2)
    assert (outcome.status, len(server.posted), len(naps.seconds)) == (503, 2, 1)


async def test_an_answer_that_settles_it_is_not_asked_for_again() -> None:
    outcome, server, _ = await posted([404])
    assert (outcome.status, len(server.posted)) == (404, 1)


async def test_a_receiver_may_ask_for_time() -> None:
    crowded = web.Response(status=429, headers={"Retry-After": "7"})
    _, _, naps = await posted([crowded, 200])
    assert naps.seconds == [7.0]


async def test_redirects_are_not_followed() -> None:
    async with Receiver() as elsewhere:
        moved = web.Response(status=307, headers={"Location": elsewhere.url})
        outcome, server, _ = await posted([moved])
        assert (outcome.status, len(server.posted), elsewhere.posted) == (307, 1, [])


async def test_every_attempt_is_signed() -> None:
    _, server, _ = await posted([503, 200], secret="correct-horse-battery")
    for one in server.posted:
        assert is_genuine("correct-horse-battery", one.body, one.headers[HEADER], 1000.0)


async def test_without_a_secret_nothing_is_signed() -> None:
    _, server, _ = await posted([200])
    assert HEADER not in server.posted[0].headers


async def test_of_a_large_answer_the_beginning_is_read() -> None:
    outcome, _, _ = await posted([(200, "x" * (4 * MOST))])
    assert len(outcome.body) == MOST + 1


async def test_nobody_answering_in_time_is_told_without_the_url() -> None:
    poster = Poster(sleep=Naps())
    async with Receiver() as server:
        server.silent = True
        outcome = await poster.deliver(receiver(server.url, timeout="100ms", attempts=1), None, PARCEL)
    await poster.close()
    assert outcome.problem.startswith("no answer within 0.1 s from http://127.0.0.1:")
    assert "T0P53CR3T" not in repr(outcome)


async def test_nobody_listening_is_told_without_the_url() -> None:
    poster = Poster(sleep=Naps())
    url = f"http://user:T0P53CR3T@127.0.0.1:{free_port()}/T0P53CR3T?key=T0P53CR3T"
    outcome = await poster.deliver(receiver(url), None, PARCEL)
    await poster.close()
    assert "cannot be reached (ConnectError)" in outcome.problem
    assert "T0P53CR3T" not in repr(outcome)

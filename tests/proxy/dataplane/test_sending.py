"""What leaves together: order is kept however it is sent, nothing is left behind, and nothing waits beyond its turn."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.sending import CROWD, SMALL, TOGETHER, Outbox, Sender
from proxy.dataplane.services.connection import ServiceConnection
from tests.fakes.planes import running, table, until
from tests.fakes.wires import Answering
from tests.interpreted import replaces_a_method


class Taken:
    """A transport that remembers what it was given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def get_write_buffer_size(self) -> int:
        return 0


def sender(outbox: Outbox) -> tuple[Sender, Taken]:
    one, taken = Sender(outbox), Taken()
    one.transport = cast(asyncio.Transport, taken)
    return one, taken


async def test_what_is_posted_leaves_when_the_turn_ends() -> None:
    outbox = Outbox(is_crowded=True)
    first, of_first = sender(outbox)
    second, of_second = sender(outbox)
    first.post(b"a")
    second.post(b"b")
    assert (of_first.pieces, of_second.pieces) == ([], [])
    assert first.unsent == 1
    await asyncio.sleep(0)
    assert (of_first.pieces, of_second.pieces) == ([b"a"], [b"b"])
    assert first.unsent == 0


async def test_few_do_not_wait_and_a_crowd_does_also_in_the_turn_that_follows() -> None:
    outbox = Outbox()
    senders = [sender(outbox) for _ in range(CROWD + 1)]
    for one, _ in senders:
        one.post(b"x")
    assert [len(taken.pieces) for _, taken in senders] == [1] * CROWD + [0]
    await asyncio.sleep(0)
    one, taken = senders[-1]
    assert taken.pieces == [b"x"]
    one.post(b"y")
    assert taken.pieces == [b"x"], "the turn before was crowded"
    await asyncio.sleep(0)
    assert taken.pieces == [b"x", b"y"]
    one.post(b"z")
    assert taken.pieces == [b"x", b"y", b"z"], "and the last one was not"


async def test_many_do_not_wait_for_the_last_of_the_turn() -> None:
    outbox = Outbox(is_crowded=True)
    senders = [sender(outbox) for _ in range(TOGETHER + 1)]
    for one, _ in senders:
        one.post(b"x")
    assert [len(taken.pieces) for _, taken in senders] == [1] * TOGETHER + [0]
    await asyncio.sleep(0)
    assert all(taken.pieces == [b"x"] for _, taken in senders)


async def test_what_is_large_leaves_at_once() -> None:
    one, taken = sender(Outbox(is_crowded=True))
    one.post(b"x" * (SMALL + 1))
    assert len(taken.pieces) == 1


async def test_a_connection_that_cannot_send_ends_and_costs_the_others_nothing() -> None:
    class Closed(Taken):
        aborted = False

        def write(self, data: bytes) -> None:
            raise RuntimeError("the handle is closed")

        def abort(self) -> None:
            self.aborted = True

    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    outbox = Outbox(is_crowded=True)
    broken, _ = sender(outbox)
    closed = Closed()
    broken.transport = cast(asyncio.Transport, closed)
    other, taken = sender(outbox)
    broken.post(b"a")
    other.post(b"b")
    await asyncio.sleep(0)
    assert taken.pieces == [b"b"]
    assert closed.aborted
    assert said == ["a connection could not send"]


@given(st.lists(st.tuples(st.sampled_from(["post", "write", "turn", "end"]), st.binary(min_size=1, max_size=8))))
def test_bytes_keep_their_order_however_they_are_sent(steps: list[tuple[str, bytes]]) -> None:
    async def run() -> None:
        one, taken = sender(Outbox(is_crowded=True))
        expected = b""
        for how, data in steps:
            if how == "turn":
                await asyncio.sleep(0)
                assert b"".join(taken.pieces) == expected
            elif how == "end":
                one.send_posted()
                assert b"".join(taken.pieces) == expected
            else:
                (one.post if how == "post" else one.write)(data)
                expected += data
        await asyncio.sleep(0)
        assert b"".join(taken.pieces) == expected
        assert b"" not in taken.pieces

    asyncio.run(run())


async def test_ending_the_sending_to_one_who_has_just_reset_raises_nothing_at_who_did_it() -> None:
    """Those who do it are often in the middle of something else: of telling others that there is room for them."""
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        with socket.create_connection(("127.0.0.1", fig.port)) as client:
            await until(lambda: fig.plane.clients, "the connection")
            (one,) = fig.plane.clients
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.end_sending()  # in the turn of the loop before the one that reads the reset
        await until(lambda: not fig.plane.clients, "the end of the connection")


@replaces_a_method
async def test_a_write_whose_connection_ends_before_it_left_is_sent_on_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even a POST: the service that closed the idle connection has seen nothing of it."""
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.message()).status == 200
        (first,) = fig.plane.services["legacy"].pools[0].idle

        def post_and_end(self: ServiceConnection, data: bytes) -> None:
            Sender.post(self, data)
            if self is first:
                self.eof_received()  # as the loop reports it, before its turn ends

        monkeypatch.setattr(ServiceConnection, "post", post_and_end)
        fig.plane.outbox.is_crowded = True
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert (await client.message()).status == 200
        assert legacy.connections == 2
        assert [each.failure for each in await fig.finished(2)] == ["", ""]

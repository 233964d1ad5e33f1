"""What the benchmarks send, and that they notice a program which answers wrongly: such a one must not win."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest

from benchmarks import large, load, pacing
from benchmarks.holding import ANSWER, HoldingService, until_held
from benchmarks.large import BrokenBodyError, LargeService
from benchmarks.load import WrongAnswerError

REQUEST = load.shop_requests(routes=3, count=1)


@contextlib.contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """The port of a service that gives these answers to the first requests of a connection, then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for answer in answers:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
    listener.close()


def test_requests_have_nine_headers_and_differ_in_path_and_cookie() -> None:
    requests = load.shop_requests(routes=100, count=1000)

    assert {request.count(b"\r\n") for request in requests} == {1 + 9 + 1}
    assert len({request.split(b" ")[1] for request in requests}) == 1000
    assert len({request.partition(b"Cookie: ")[2].split(b"\r\n")[0] for request in requests}) == 1000
    assert len({request.split(b"/")[1] for request in requests}) == 100


def test_a_schedule_has_as_many_requests_as_its_rate_says_and_they_come_at_chance() -> None:
    due = pacing.schedule(1000, 20, Random(1))

    assert len(due) == pytest.approx(20_000, rel=0.05)
    assert due == sorted(due)
    gaps = [after - before for before, after in pairwise(due)]
    assert sum(gap > 1 / 1000 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)  # e ** -1


def test_the_wait_for_a_busy_connection_is_part_of_a_latency() -> None:
    """The second request is due at once and cannot be sent before the first is answered: coordinated omission would
    count it from then."""
    service = HoldingService()
    try:
        service.hold()
        timer = threading.Timer(0.3, service.let_go)
        timer.start()
        found = pacing.latencies(service.port, REQUEST, [0.0, 0.001], connections=1)
    finally:
        service.close()

    assert min(found) > 0.1


def test_latencies_stand_in_the_order_in_which_requests_were_due() -> None:
    service = HoldingService()
    try:
        service.hold()
        timer = threading.Timer(0.2, service.let_go)
        timer.start()
        found = pacing.latencies(service.port, REQUEST, [0.0, 0.1], connections=2)
    finally:
        service.close()

    assert found[0] - found[1] > 0.05


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"",
    ],
)
def test_a_paced_load_refuses_what_is_no_whole_answer(answer: bytes) -> None:
    with answering(answer) as port, pytest.raises(WrongAnswerError):
        pacing.latencies(port, REQUEST, [0.0], connections=1)


def test_the_check_refuses_a_program_that_gives_every_request_one_answer() -> None:
    body = b"x" * 400
    same = b"HTTP/1.1 200 OK\r\nETag: a\r\nSet-Cookie: b=c\r\nContent-Length: 400\r\n\r\n" + body
    with answering(*[same] * load.SAMPLE) as port, pytest.raises(WrongAnswerError, match="one answer"):
        load.check(port, load.shop_requests(routes=3))


def test_a_held_request_is_answered_when_it_is_let_go() -> None:
    service = HoldingService()
    try:
        service.hold()
        with socket.create_connection(("127.0.0.1", service.port), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until_held(service, 1, seconds=5)
            service.let_go()

            assert client.recv(1000) == ANSWER
    finally:
        service.close()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("move", [large.download, large.upload])
def test_a_large_body_arrives_whole(move: Callable[..., float], chunked: bool) -> None:
    service = LargeService()
    try:
        assert move(service.port, 3 * large.MB, chunked=chunked) > 0
    finally:
        service.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlonger\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
def test_a_body_that_lost_bytes_is_seen(answer: bytes) -> None:
    with answering(answer) as port, pytest.raises(BrokenBodyError):
        large.download(port, large.MB, chunked=False)

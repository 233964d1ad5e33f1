"""Load at a given rate whose latencies leave nothing out: an open loop on blocking-free sockets, and its schedule.

Every request has a moment at which it is to be sent, set beforehand; its latency counts from that moment until its
answer is complete, also when it had to wait because every connection was still busy. A load that waits for one answer
before it sends the next would not send while a program is slow, and so not see it (coordinated omission). h2load's
`--rps` sends what is due a timer's tick at a time: bunches, which a proxy then works off one by one.

One thread, which sleeps in select(2) with microseconds, so that it neither burns the processor that it shares with the
service nor wakes late.
"""

from __future__ import annotations

import ctypes
import gc
import re
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from random import Random

from benchmarks.load import WrongAnswerError

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_PR_SET_TIMERSLACK = 29
PATIENCE = 10.0
"""Seconds without any answer after which the load gives up."""


def schedule(rate: float, seconds: float, chance: Random) -> list[float]:
    """Seconds from the start at which requests are due: as of many clients who know nothing of each other (a Poisson
    process of `rate` a second)."""
    times = []
    at = chance.expovariate(rate)
    while at < seconds:
        times.append(at)
        at += chance.expovariate(rate)
    return times


def latencies(port: int, requests: Sequence[bytes], due: Sequence[float], connections: int) -> list[float]:
    """Send request after request when it is due; the seconds from then until each answer was complete, as in `due`.

    Raises WrongAnswerError on an answer that is not 200 with its whole body, and when none comes any more.
    """
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)  # nanoseconds by which the kernel may wake this thread late
    idle = deque(_connected(port) for _ in range(connections))
    every = list(idle)
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _run(requests, due, idle)
    finally:
        if was_on:
            gc.enable()
        for each in every:
            each.close()


def _run(requests: Sequence[bytes], due: Sequence[float], idle: deque[socket.socket]) -> list[float]:
    clock = time.perf_counter
    count, total = len(requests), len(due)
    busy: dict[socket.socket, int] = {}
    """Connection -> number of the request that it carries."""
    parts: dict[socket.socket, bytes] = {}
    found = [0.0] * total
    answered = 0
    start = clock() + 0.05
    number = 0
    heard = start
    while answered < total:
        now = clock()
        while number < total and idle and start + due[number] <= now:
            connection = idle.popleft()
            busy[connection] = number
            connection.send(requests[number % count])
            number += 1
            now = clock()
        wait = max(start + due[number] - now, 0.0) if number < total and idle else 0.5
        ready, _, _ = select.select(busy, (), (), wait)
        for connection in ready:
            data = parts.pop(connection, b"") + connection.recv(65536)
            if _is_complete(data):
                heard = clock()
                each = busy.pop(connection)
                found[each] = heard - (start + due[each])
                answered += 1
                idle.append(connection)
            else:
                parts[connection] = data
        if not ready and clock() - heard > PATIENCE:
            raise WrongAnswerError(f"no answer within {PATIENCE:g} s")
    return found


def _is_complete(data: bytes) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0 and data:
        return False
    length = _LENGTH.search(data, 0, end + 2)
    if not data.startswith(b"HTTP/1.1 200 ") or length is None or len(data) > end + 4 + int(length[1]):
        raise WrongAnswerError(f"not an answer of the service's: {data[:200]!r}")
    return len(data) == end + 4 + int(length[1])


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(None)
    return connection

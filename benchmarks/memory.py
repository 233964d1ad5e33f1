"""Memory: what an idle kept-alive client costs, and what a client whose request is at a slow service costs with its
service's connection. Growth of the resident memory of all the program's processes, over the number of connections.

nginx and HAProxy reserve memory per connection or per process beforehand, so that their growth is only a part of it.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import load, programs
from benchmarks.figures import Estimate, Goal, Part, table
from benchmarks.holding import ANSWER, HoldingService, until_held
from benchmarks.load import WrongAnswerError

PROGRAMS = ("nginx", "haproxy", "envoy", "fig")
IDLE = (2000, 8000)
BUSY = 2000
IDLE_GOAL, BUSY_GOAL = 12.0, 60.0
"""KB, of 1,024 bytes."""
SETTLE = 1.0
"""Seconds from the last answer until the memory is looked at."""
WARM = 500
"""Exchanges beforehand, over one connection, so that what grows once has grown."""


def measure(folder: Path, names: Sequence[str], routes: int, idle: Sequence[int] = IDLE, busy: int = BUSY) -> Part:
    """Idle clients up to each number of `idle` in turn, then `busy` requests in flight in a fresh process."""
    _allow_files(2 * max(*idle, busy) + 1000)
    requests = load.shop_requests(routes)
    rows, goals = [], []
    service = HoldingService()
    try:
        for name in names:
            place = programs.Place(folder, programs.free_port(), service.port, routes=routes)
            with programs.started(name, place) as one:
                costs = _idle_costs(one, requests, idle)
            place = programs.Place(folder, programs.free_port(), service.port, routes=routes)
            with programs.started(name, place) as one:
                pair = _busy_cost(one, requests, busy, service)
            rows.append([programs.label(name), *(f"{cost:.1f}" for cost in costs), f"{pair:.1f}"])
            if name == "fig":
                worst = max(costs)
                goals.append(_goal("memory of an idle kept-alive client", worst, IDLE_GOAL))
                goals.append(_goal("memory of a busy client and service pair", pair, BUSY_GOAL))
    finally:
        service.close()
    headings = ["program", *(f"KB per idle client, {count:,}" for count in idle), f"KB per busy pair, {busy:,}"]
    return Part("Memory", tuple(table(headings, rows)), tuple(goals))


def _goal(text: str, cost: float, bound: float) -> Goal:
    return Goal(text, Estimate(cost, cost, cost), bound, at_least=False, unit="KB")


def _idle_costs(one: programs.Started, requests: Sequence[bytes], counts: Sequence[int]) -> list[float]:
    """KB per client after one request each, for each of the numbers of clients."""
    costs = []
    with contextlib.ExitStack() as stack:
        before = _warmed(one, requests)
        clients: list[socket.socket] = []
        for count in counts:
            while len(clients) < count:
                client = stack.enter_context(socket.create_connection(("127.0.0.1", one.port), 10))
                client.sendall(requests[len(clients) % len(requests)])
                _read_answer(client)
                clients.append(client)
            time.sleep(SETTLE)
            costs.append((one.resident() - before) / count / 1024)
    return costs


def _busy_cost(one: programs.Started, requests: Sequence[bytes], count: int, service: HoldingService) -> float:
    """KB per client whose request the service has and does not answer."""
    with contextlib.ExitStack() as stack:
        before = _warmed(one, requests)
        service.hold()
        try:
            clients = []
            for number in range(count):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", one.port), 10))
                client.sendall(requests[number % len(requests)])
                clients.append(client)
            until_held(service, count)
            time.sleep(SETTLE)
            grown = one.resident() - before
        finally:
            service.let_go()
        for client in clients:
            _read_answer(client)
    return grown / count / 1024


def _warmed(one: programs.Started, requests: Sequence[bytes]) -> int:
    """The resident bytes after some exchanges over one connection."""
    with socket.create_connection(("127.0.0.1", one.port), 10) as client:
        for request in requests[:WARM]:
            client.sendall(request)
            _read_answer(client)
    time.sleep(SETTLE)
    return one.resident()


def _read_answer(client: socket.socket) -> None:
    """Raises WrongAnswerError where it is not the holding service's."""
    data = b""
    body = ANSWER.rpartition(b"\r\n\r\n")[2]
    while not data.endswith(b"\r\n\r\n" + body):
        piece = client.recv(65536)
        data += piece
        if not piece or not data.startswith(b"HTTP/1.1 200 "[: len(data)]):
            raise WrongAnswerError(f"not an answer of the service's: {data[:200]!r}")


def _allow_files(count: int) -> None:
    """Raises the number of open files, for this process and for what it starts, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))

"""Writes through a real `fig serve`: each is copied once and in order, whatever is killed meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.ledger import Entries, ledger, rules_for
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving

CLIENTS, WRITES = 6, 25


class Sides:
    """Both ledgers and a candidate that can go away and come back."""

    def __init__(self) -> None:
        self.legacy, self.candidate = Entries(), Entries()
        self.port = free_port()
        self._stack = contextlib.ExitStack()

    def up(self) -> None:
        self._stack.enter_context(ledger(self.candidate, self.port))

    def down(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    both = Sides()
    both.up()
    yield both
    both.down()


@pytest.fixture(scope="module")
def fig(tmp_path_factory: pytest.TempPathFactory, sides: Sides) -> Iterator[Served]:
    """One for all tests that end with everything delivered; each has keys of its own."""
    with running(tmp_path_factory.mktemp("fig"), sides) as served:
        yield served


@contextlib.contextmanager
def running(folder: Path, sides: Sides, workers: int = 2) -> Iterator[Served]:
    with ledger(sides.legacy) as legacy:
        writes = "dedupe: idempotency-key, on_journal_failure: refuse"
        rules = rules_for(legacy.url, f"http://127.0.0.1:{sides.port}", writes=writes)
        (folder / "fig.yaml").write_text(rules)
        with serving(folder, workers=workers) as fig:
            eventually(fig.ready, "fig ready")
            yield fig


def write_orders(fig: Served, key: str, failed: list[str], pause: float = 0.0) -> None:
    """One client writes to its own key, one write after the other; a refused write is tried again, as 503 asks."""
    with httpx.Client(trust_env=False, timeout=15) as http:
        for n in range(WRITES):
            for _ in range(200):
                try:
                    answer = http.post(
                        f"http://127.0.0.1:{fig.port}/orders/{key}",
                        content=f"{key}-{n}",
                        headers={"Idempotency-Key": f"{key}-{n}"},
                    )
                except httpx.HTTPError as exc:
                    failed.append(f"{key}-{n}: {type(exc).__name__}")
                    continue
                if answer.status_code == 201:
                    break
                assert answer.status_code == 503, answer.text
                time.sleep(0.05)
            else:
                raise AssertionError(f"{key}-{n} was never taken")
            time.sleep(pause)


def keys(name: str) -> list[str]:
    """Of the clients of the test of that name, one each."""
    return [f"{name}{client}" for client in range(CLIENTS)]


def write_with(fig: Served, name: str, meanwhile: list[float], disturb: object = None, pause: float = 0.0) -> list[str]:
    """All clients at once; `disturb` is called after each pause in `meanwhile`. Gives the requests that broke."""
    failed: list[str] = []
    threads = [threading.Thread(target=write_orders, args=(fig, key, failed, pause)) for key in keys(name)]
    for thread in threads:
        thread.start()
    for seconds in meanwhile:
        time.sleep(seconds)
        disturb()  # type: ignore[operator]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return failed


def expected(name: str) -> dict[str, list[str]]:
    return {key: [f"{key}-{n}" for n in range(WRITES)] for key in keys(name)}


def applied(side: Entries, name: str) -> dict[str, list[str]]:
    """What the side has of that test's keys."""
    return {key: list(side.applied[key]) for key in keys(name) if key in side.applied}


def everywhere(sides: Sides, name: str) -> bool:
    return applied(sides.candidate, name) == applied(sides.legacy, name) == expected(name)


def test_every_write_reaches_the_candidate_once_and_in_order(fig: Served, sides: Sides) -> None:
    requests, copies = sides.candidate.requests, sides.candidate.copies
    assert write_with(fig, "plain", []) == []
    eventually(lambda: everywhere(sides, "plain"), "all copies delivered")
    assert sides.candidate.requests - requests == sides.candidate.copies - copies == CLIENTS * WRITES
    assert sides.legacy.copies == 0


def test_a_candidate_that_is_away_gets_every_write_in_order_when_it_is_back(fig: Served, sides: Sides) -> None:
    sides.down()
    assert write_with(fig, "away", []) == []
    assert applied(sides.legacy, "away") == expected("away")
    assert applied(sides.candidate, "away") == {}
    sides.up()
    eventually(lambda: everywhere(sides, "away"), "all copies delivered")


def test_no_write_is_lost_or_doubled_though_the_shadower_is_killed(fig: Served, sides: Sides) -> None:
    kill = lambda: os.kill(fig.pid("shadower"), signal.SIGKILL)  # noqa: E731
    failed = write_with(fig, "shadower", [0.5, 0.8, 0.8], kill, pause=0.05)
    assert failed == [], "a client saw the shadower die"
    eventually(lambda: everywhere(sides, "shadower"), "all copies delivered")


def test_no_write_is_lost_or_doubled_though_workers_are_killed(fig: Served, sides: Sides) -> None:
    """A killed worker breaks its connections; the client repeats with its key, and both sides apply it once.

    Copies may then reach the candidate in another order than legacy's only where fig could not know what legacy did:
    such a write is in doubt and its repetition is a write of its own.
    """
    turns = iter((0, 1, 0))
    kill = lambda: os.kill(fig.pid(f"worker-{next(turns)}"), signal.SIGKILL)  # noqa: E731
    write_with(fig, "worker", [0.5, 0.8, 0.8], kill, pause=0.05)
    eventually(lambda: everywhere(sides, "worker"), "all copies delivered")


def test_after_a_restart_of_everything_delivery_goes_on(tmp_path: Path, sides: Sides) -> None:
    with running(tmp_path, sides, workers=1) as fig:
        sides.down()
        assert write_with(fig, "restart", []) == []
        assert fig.end() == 0
    sides.up()
    with running(tmp_path, sides, workers=1):
        eventually(lambda: everywhere(sides, "restart"), "all copies delivered")

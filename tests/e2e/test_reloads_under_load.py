"""1,000 reloads, half of them of broken files, while clients of every kind go on: nothing is reset, mixed or leaked."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from operator import ge
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.fakes.lively_service import LivelyService, lively_service
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving
from tests.fakes.traffic import traffic, until
from tests.fakes.wires import Message

RELOADS = int(os.environ.get("FIG_RELOADS", "1000"))
BASE = 100
"""Reloads after which memory is looked at for the first time: until then caches and heaps take the size they need."""
GROWTH = 4 * 1024 * 1024
"""Bytes that a process may be larger afterwards; a table that stayed with every reload would take more."""
RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
legacy: legacy
routes:
  - name: who
    match: {{path: /who}}
    candidate: {candidate}
    stage: live
    response_headers: {{set: {{x-generation: "{candidate}-{n}"}}}}
  - {{name: rest, match: {{path: /**, methods: [GET, POST]}}, candidate: {candidate}, stage: live}}
"""
BROKEN = ("version: 1\nroutes: [", "version: 2\n", "", RULES.replace("candidate: {candidate}", "candidat: x"))


class Reader:
    """How many reloads the log tells of, read on from where it was."""

    def __init__(self, log: BinaryIO) -> None:
        self._log = log
        self.reloads = self.refusals = 0

    def look(self) -> tuple[int, int]:
        for line in self._log:
            self.reloads += b'"rules reloaded"' in line
            self.refusals += b'"rules refused, ' in line
        return self.reloads, self.refusals


def resident(fig: Served) -> dict[str, int]:
    """Bytes of each process."""
    page = os.sysconf("SC_PAGE_SIZE")
    names = ("worker-0", "worker-1", "control", "shadower")
    return {name: int(Path(f"/proc/{fig.pid(name)}/statm").read_text().split()[1]) * page for name in names}


def judge(got: Message) -> str:
    """The service that answered and the header are what the same rules say, or the answer is mixed."""
    said = got.get("x-generation") or ""
    candidate, _, number = said.partition("-")
    return f"generation {number}" if candidate == got.body.decode() else f"mixed: {said} {got.body!r}"


@pytest.fixture
def services() -> Iterator[tuple[LivelyService, LivelyService]]:
    with lively_service("legacy", free_port()) as legacy, lively_service("shop", free_port()) as shop:
        yield legacy, shop


@pytest.mark.timeout(240)
async def test_a_thousand_reloads_half_of_them_broken_lose_nothing_and_mix_nothing(
    services: tuple[LivelyService, LivelyService], tmp_path: Path
) -> None:
    legacy, shop = services
    staged, rules = tmp_path / "next", tmp_path / "fig.yaml"

    def put(text: str, n: int) -> None:
        candidate = ("legacy", "shop")[n // 2 % 2]
        staged.write_text(text.format(legacy=legacy.url, shop=shop.url, candidate=candidate, n=n))
        staged.rename(rules)

    put(RULES, 0)
    with serving(tmp_path) as fig:
        eventually(fig.ready, "fig ready")
        with fig.log_file.open("rb") as log:
            async with traffic(fig.port, judge) as load:
                logged = Reader(log)
                for n in range(1, RELOADS + 1):
                    reloads, refusals = logged.look()
                    wanted = (reloads, refusals + 1) if n % 2 else (reloads + 1, refusals)
                    put(BROKEN[n // 2 % len(BROKEN)] if n % 2 else RULES, n)
                    fig.process.send_signal(signal.SIGHUP)
                    await until(lambda wanted=wanted: all(map(ge, logged.look(), wanted)))
                    if n == BASE:
                        before = resident(fig)
                after = resident(fig)

    assert load.failures == []
    assert [answer for answer in load.answers if answer.startswith("mixed")] == []
    # Nearly every generation was met; one that was replaced within some milliseconds need not have been.
    assert sum(answer.startswith("generation") for answer in load.answers) > RELOADS // 4
    assert {name: size for name, size in after.items() if size > before[name] + GROWTH} == {}

"""Units stay on their side through a running fig: over workers, a raised share, a reload, a restart and a rollback."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection

import pytest

from rules.buckets import bucket
from tests.fakes.plain_service import plain_service
from tests.fakes.served import Served, eventually, serving

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
legacy: legacy
routes:
  - name: who
    match: {{path: /who}}
    candidate: shop
    stage: canary
    share: 20%
    unit: {{cookie: fig_unit, issue: true}}
    shadow: {{sample: 0%}}
"""
UNITS = [f"unit-{number}" for number in range(40)]


@pytest.fixture(scope="module")
def fig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("units")
    with plain_service("legacy") as legacy, plain_service("shop") as shop:
        (folder / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=shop.url))
        with serving(folder, workers=2) as served:
            eventually(served.ready, "fig ready")
            yield served


@dataclass(frozen=True)
class Answer:
    text: str
    issued: str
    """The unit that fig issued with it, or ``""``."""


def ask(fig: Served, cookie: str = "") -> Answer:
    """On a connection of its own, so that any worker may get it."""
    connection = HTTPConnection("127.0.0.1", fig.port, timeout=10)
    try:
        connection.request("GET", "/who", headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        issued = (answer.getheader("Set-Cookie") or "").partition(";")[0].removeprefix("fig_unit=")
        return Answer(answer.read().decode(), issued)
    finally:
        connection.close()


def candidates(fig: Served) -> set[str]:
    return {unit for unit in UNITS if ask(fig, f"fig_unit={unit}").text == "shop"}


def below(share: int) -> set[str]:
    return {unit for unit in UNITS if bucket("who", unit) < share}


def move(fig: Served, action: str, **body: str) -> None:
    answer = fig.admin.post(f"/api/routes/who/{action}", json=body).raise_for_status()
    assert answer.json()["acknowledged"], answer.text


def test_a_raised_share_sends_nobody_back_whichever_worker_answers(fig: Served) -> None:
    for share, millionths in (("30%", 300_000), ("55%", 550_000), ("90%", 900_000)):
        move(fig, "stage", stage="canary", share=share)
        assert candidates(fig) == candidates(fig) == below(millionths)


def test_a_worker_that_was_killed_comes_back_to_the_same_sides(fig: Served) -> None:
    move(fig, "stage", stage="canary", share="55%")
    before = fig.pid("worker-0")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: fig.pid("worker-0") != before and fig.ready(), "another worker")
    assert candidates(fig) == below(550_000)


def test_a_unit_that_fig_issued_is_asked_for_no_more_and_keeps_its_side(fig: Served) -> None:
    move(fig, "stage", stage="canary", share="50%")
    for _ in range(8):
        first = ask(fig)
        unit = first.issued
        assert unit
        assert (first.text == "shop") == (bucket("who", unit) < 500_000)
        for _ in range(3):
            again = ask(fig, f"basket=7; fig_unit={unit}")
            assert (again.text, again.issued) == (first.text, "")


def test_when_a_rollback_has_returned_no_unit_reaches_the_candidate_again(fig: Served) -> None:
    move(fig, "stage", stage="canary", share="100%")
    assert candidates(fig) == set(UNITS)

    move(fig, "rollback", to="shadow")

    assert candidates(fig) == set()
    assert ask(fig).text == "legacy"

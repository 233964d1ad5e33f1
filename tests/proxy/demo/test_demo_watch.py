"""The demo reads what fig says: status, history and report, as the code that makes them makes them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proxy.control.records import Entry
from proxy.control.status import entry_document, side_figures
from proxy.control.traffic import SideTraffic
from proxy.demo import orders
from proxy.demo.story import Delivered, Orders
from proxy.demo.watch import read_history, read_report, read_status
from rules.effective import Position
from rules.stages import Stage


def status(**route: Any) -> dict[str, Any]:
    side = side_figures(SideTraffic())
    document = {
        "name": "cart",
        "stage": "shadow",
        "share": 0.0,
        "frozen": False,
        "sides": {"legacy": side, "candidate": side},
        "verdict": None,
        "certificate": None,
        "writes": None,
    }
    return {
        "generation": 3,
        "rules": {"last_success": 12.5, "problems": []},
        "workers_expected": 2,
        "peers": [
            {"name": "shadower", "current": True},
            {"name": "worker 0", "current": True},
            {"name": "worker 1", "current": True},
        ],
        "routes": [document | route],
        "unmatched": side,
    }


def test_fig_is_settled_when_every_worker_decides_by_the_table() -> None:
    behind, missing = status(), status()
    behind["peers"][1]["current"] = False
    del missing["peers"][2]

    assert read_status(status()).settled
    assert not read_status(behind).settled
    assert not read_status(missing).settled


@pytest.mark.parametrize(
    ("certificate", "said", "refused"),
    [
        (None, "", False),
        ({"verdict": "TOO FEW", "pairs": 0, "needed": None, "differing": 0}, "", False),
        ({"verdict": "TOO FEW", "pairs": 7, "needed": 60, "differing": 0}, "TOO FEW: 7 of 60 pairs", False),
        ({"verdict": "GO", "pairs": 99, "needed": 60, "differing": 0}, "GO: 60 of 60 pairs", False),
        ({"verdict": "NO-GO", "pairs": 46, "needed": 60, "differing": 12}, "NO-GO: 12 of 46 pairs differ", True),
    ],
)
def test_a_certificate_is_told_in_a_few_words(certificate: dict[str, Any] | None, said: str, refused: bool) -> None:
    [route] = read_status(status(certificate=certificate)).routes

    assert (route.certificate, route.refused) == (said, refused)


def test_what_became_of_writes_is_read_where_a_route_has_them() -> None:
    writes = {"delivered": 5, "undelivered": 1, "gaps": 2, "doubts": 3}

    assert read_status(status(writes=writes)).routes[0].writes == Delivered(5, 1, 2, 3)
    assert read_status(status()).routes[0].writes is None


def test_history_is_read_oldest_first_with_where_each_move_led() -> None:
    entered = Entry(1.0, "cart", "file", "enter", None, Position(Stage.SHADOW, 0), "said so", 1, number=1)
    moved = Entry(2.0, "cart", "pilot", "promote", None, Position(Stage.CANARY, 250_000), "GO", 2, number=2)
    left = Entry(3.0, "cart", "file", "leave", Position(Stage.CANARY, 250_000), None, "gone", 3, number=3)

    moves = read_history({"history": [entry_document(entry) for entry in (left, entered, moved)]})

    assert [(move.at, move.actor, move.stage, move.share) for move in moves] == [
        (1.0, "file", Stage.SHADOW, 0.0),
        (2.0, "pilot", Stage.CANARY, 0.25),
        (3.0, "file", None, 0.0),
    ]


def test_a_report_is_read_with_its_worst_place_first() -> None:
    def place(path: str, pairs: int, *samples: dict[str, Any]) -> dict[str, Any]:
        return {"path": path, "pairs": pairs, "samples": list(samples)}

    sample = {"legacy": "4.7", "candidate": None}
    differences = [place("/count", 3), place("/average", 12, sample)]
    causes = [{"sentence": "average is cut off"}, {"sentence": "count is extra"}]
    route = {"route": "reviews", "pairs": 46, "differing": 12, "differences": differences, "causes": causes}

    compared = read_report(json.dumps({"routes": [route]}))["reviews"]

    assert (compared.pairs, compared.differing) == (46, 12)
    assert compared.causes == ("average is cut off", "count is extra")
    assert [(p.path, p.count, p.legacy, p.candidate) for p in compared.places] == [
        ("/average", 12, "4.7", "nothing"),
        ("/count", 3, "nothing", "nothing"),
    ]


def test_orders_are_held_against_each_other_in_the_databases(tmp_path: Path) -> None:
    held = {"legacy": [("O-1", "P-101.2"), ("O-2", "P-102.1")], "checkout": [("O-1", "P-101.2"), ("O-2", "P-102.2")]}
    for program, rows in held.items():
        (tmp_path / program).mkdir()
        with sqlite3.connect(tmp_path / program / f"{program}.db") as db:
            db.execute("CREATE TABLE orders (number TEXT, lines TEXT)")
            db.executemany("INSERT INTO orders VALUES (?, ?)", rows)
        db.close()

    assert orders.compare(tmp_path) == Orders(same=1, apart=2)

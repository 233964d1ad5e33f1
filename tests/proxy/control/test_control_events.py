"""Business events on their way through control: which it asks workers for, and whose evidence they become."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.rollout import Rollout
from proxy.control.attempts import Attempts
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.control.settling import accepted_of
from proxy.rulebook import Rulebook, load
from proxy.wire import EVENT_ROW_STRUCT, ROW_STRUCT, EventRows, Rows
from rules.problems import RulesError
from rules.stages import Stage

START = 1_700_000_000.0


def rules(folder: Path, **event: Any) -> Rulebook:
    metrics = [
        {"name": "errors", "kind": "error_rate", "margin": "1pp"},
        {"name": "conversion", "kind": "rate", "event": "order_placed", "margin": "10%"},
        {"name": "revenue", "kind": "mean_per_unit", "event": "order_placed", "margin": "10%"},
        {"name": "abandoned", "kind": "rate", "event": "left", "margin": "10%", "direction": "higher_is_worse"},
    ]
    route = {"candidate": "new", "unit": {"cookie": "u"}, "stage": "canary"}
    order = {"match": {"path": "/orders"}, "value": "response:/total", **event}
    plan = {"steps": ["50%"], "hold": "1s"}
    (folder / "fig.yaml").write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "services": {"old": {"url": "http://127.0.0.1:1"}, "new": {"url": "http://127.0.0.1:2"}},
                "legacy": "old",
                "routes": [
                    {"name": "shop", "match": {"path": "/a"}, **route, "rollout": {**plan, "gate": "business"}},
                    {"name": "plain", "match": {"path": "/b"}, **route, "rollout": {**plan, "gate": "technical"}},
                ],
                "gates": {"business": {"metrics": metrics}, "technical": {"metrics": metrics[:1]}},
                "events": {
                    "left": {"match": {"path": "/left"}},
                    "order_placed": {key: value for key, value in order.items() if value is not None},
                },
            }
        )
    )
    return load(folder / "fig.yaml")


def book(rulebook: Rulebook, generation: int, share: int = 500_000) -> Book:
    standing = Standing("shop", Rollout(Stage.CANARY, share, since=START, began=START, subject="v2"), "canary")
    effective = accepted_of(rulebook).moved(generation, {})
    return Book(effective, {"shop": standing}, rulebook)


def told(attempts: Attempts, generation: int) -> None:
    row = struct.pack(ROW_STRUCT, START + 1, 7, 0.01, 1, 2, 0, 0)
    attempts.take_rows(Rows("shop", generation, row))
    attempts.take_rows(EventRows("shop", generation, struct.pack(EVENT_ROW_STRUCT, START + 2, 7, 12.5, 1, 0), 3))


def conversions(attempts: Attempts) -> tuple[int, int]:
    """Orders that were told, and rows that were too late."""
    evidence = attempts.running["shop"]
    return int(evidence.happenings.counts[0, 1]), evidence.late


def test_workers_are_asked_for_the_events_of_a_routes_gate_in_the_gates_order(tmp_path: Path) -> None:
    assert accepted_of(rules(tmp_path)).watches == {"shop": ("order_placed", "left")}


def test_events_become_evidence_of_the_route_that_chose_the_side(tmp_path: Path) -> None:
    attempts = Attempts({})
    attempts.follow(book(rules(tmp_path), 5))
    told(attempts, 5)
    assert conversions(attempts) == (1, 0)
    judged = attempts.judge("shop", START + 3)
    assert [metric.name for metric in judged.metrics] == ["errors", "conversion", "revenue", "abandoned"]


def test_events_of_a_former_share_come_too_late(tmp_path: Path) -> None:
    attempts, rulebook = Attempts({}), rules(tmp_path)
    attempts.follow(book(rulebook, 5))
    attempts.follow(book(rulebook, 6, share=600_000))
    told(attempts, 5)
    assert conversions(attempts) == (0, 2)


def test_another_meaning_of_an_event_begins_the_evidence_anew(tmp_path: Path) -> None:
    attempts = Attempts({})
    attempts.follow(book(rules(tmp_path), 5))
    told(attempts, 5)
    attempts.follow(book(rules(tmp_path, status="201"), 6))
    told(attempts, 5)
    assert conversions(attempts) == (0, 2)


def test_a_mean_of_an_event_without_a_value_is_refused_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="'order_placed' has no value to be averaged; give it one under 'events:'"):
        rules(tmp_path, value=None)

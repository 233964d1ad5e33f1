"""What the benchmark of mirrors asks for and how it judges; the run itself takes minutes and is no test."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks import mirroring
from benchmarks.mirroring import LEGACIES, READS, TROUBLES, WRITES, Turns
from proxy.rulebook import load

ROUNDS = 3


def test_its_rules_mirror_every_read_but_those_that_are_compared_with(tmp_path: Path) -> None:
    ports = {"slow": 1, "prompt": 2, "candidate-slow": 3, "candidate-prompt": 4, **dict.fromkeys(TROUBLES, 5)}
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(mirroring.rules(ports)))

    book = load(tmp_path / "fig.yaml")

    assert {route.name for route in book.rules.routes if not route.stage.copies} == {
        *(f"{legacy}-{name}" for legacy in LEGACIES for name in ("off", "again")),
        "beside-off-reads",
    }
    assert {route.shadow.sample for route in book.rules.routes} == {1_000_000}


def test_one_request_in_25_is_a_write_where_there_are_writes() -> None:
    asked = mirroring.requests("/beside-on", writes=True)
    assert sum(each.startswith(b"PUT") for each in asked) == len(asked) / 25
    assert not any(each.startswith(b"PUT") for each in mirroring.requests("/slow/off", writes=False))


def test_one_bad_round_of_three_does_not_decide() -> None:
    theirs = [[0.002] * 100] * ROUNDS
    bad, slower = [0.002] * 90 + [0.9] * 10, [0.002] * 90 + [0.003] * 10
    assert mirroring.compared([bad, theirs[0], theirs[0]], theirs).value == 1
    assert mirroring.compared([bad, slower, slower], theirs).value == pytest.approx(1.5)
    assert mirroring.compared([bad, slower, slower], theirs, 0.5).value == 1


def seen(**p99: float) -> dict[str, Turns]:
    """All routes alike but for the p99 in milliseconds of some reads, by name."""
    found = {f"/{name}": Turns() for name in WRITES}
    for legacy in LEGACIES:
        for name in READS:
            slow = p99.get(name, 8.0) / 1000
            found[f"/{legacy}/{name}"] = Turns(seconds=[[0.005] * 90 + [slow] * 10] * ROUNDS, pairs=ROUNDS * 100)
    return found


def test_its_goals_are_five_percent_for_mirrors_and_one_where_the_candidate_fails() -> None:
    assert all(goal.is_met for goal in mirroring.goals(seen(mirrored=8.3, dead=8.07)))
    missed = [goal.text for goal in mirroring.goals(seen(mirrored=8.5, hanging=8.1)) if not goal.is_met]
    assert len(missed) == 2 * len(LEGACIES)
    assert sum("hanging" in text for text in missed) == len(LEGACIES)


def test_mirrors_that_are_dropped_meet_no_goal() -> None:
    found = seen()
    found["/slow/mirrored"].pairs = 250
    assert [goal.text for goal in mirroring.goals(found) if not goal.is_met] == [
        "legacy of 4 to 8 ms, mirrored: pairs over reads"
    ]

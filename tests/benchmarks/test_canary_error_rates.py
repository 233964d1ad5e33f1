"""What benchmarks/canary_error_rates.py says of its records: met, missed, or too few runs to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.canary_error_rates import EVEN, PARTS, kept, pack, rates_table, speeds_table
from benchmarks.canary_gate_run import Cell

A_A = PARTS["even"][0]


def records(cell: Cell, runs: int, wrong: int, at: int | None = None) -> dict[str, dict[int, dict[str, Any]]]:
    one = {"promote": None, "excluded": {}, "verdict": "rollback" if at else None, "at": at, "seconds": 1.0}
    return {cell.name: {seed: {**one, "rollback": 900 if seed < wrong else None} for seed in range(runs)}}


def test_a_limit_is_met_missed_or_not_shown() -> None:
    assert rates_table(records(A_A, 2000, 60), [A_A])[1] == [True]
    assert rates_table(records(A_A, 2000, 140), [A_A])[1] == [False]
    assert rates_table(records(A_A, 20, 0), [A_A])[1] == [None]


def test_a_workload_beside_the_six_is_shown_without_a_goal() -> None:
    slow = Cell("A/A", "slow", EVEN, 100_000)

    lines, met = rates_table(records(slow, 50, 20), [slow])

    assert "20 rolled back" in lines[-1]
    assert met == []


def test_a_median_without_a_verdict_in_most_runs_is_missed() -> None:
    cell = next(cell for cell in PARTS["speed"] if cell.question == "mean +5 %")

    assert speeds_table(records(cell, 9, 0, at=2_000), [cell])[1] == [True]
    assert speeds_table(records(cell, 9, 0), [cell])[1] == [False]


def test_records_of_another_gate_and_half_a_line_are_not_used(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    lines = [json.dumps({"cell": "a", "seed": seed, "version": "v" + str(seed)}) for seed in (1, 2)]
    results.write_text("\n".join([*lines, lines[0][:9]]))

    assert kept([results], ["v2"]) == {"a": {2: {"cell": "a", "seed": 2, "version": "v2"}}}


def test_packed_runs_are_gone_on_with(tmp_path: Path) -> None:
    packed, results = tmp_path / "runs.jsonl.xz", tmp_path / "results.jsonl"
    lines = [{"cell": "a", "seed": seed, "version": "v1"} for seed in range(3)]
    pack({"a": {1: lines[1], 0: lines[0]}}, packed)
    results.write_text(json.dumps(lines[2]))

    assert kept([packed, results, tmp_path / "absent"], ["v1"]) == {"a": dict(enumerate(lines))}
    assert kept([packed], ["v2"]) == {}

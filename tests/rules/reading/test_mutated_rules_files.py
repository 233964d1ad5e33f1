"""The first cases of benchmarks/fuzz_rules.py; the long run is made there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz_rules import mutated, originals, why_it_fell

TEXTS = originals()


@pytest.mark.parametrize("seed", range(10))
def test_a_mutated_file_loads_or_every_problem_has_its_place(tmp_path: Path, seed: int) -> None:
    for case in range(200):
        text = mutated(case, seed, TEXTS)
        why, _ = why_it_fell(text, tmp_path / "fig.yaml")
        assert why is None, f"python -m benchmarks.fuzz_rules --seed {seed} --only {case}"


def test_a_case_is_a_function_of_its_number() -> None:
    assert mutated(5, 1, TEXTS) == mutated(5, 1, TEXTS)
    assert len({mutated(case, 1, TEXTS) for case in range(50)}) > 45

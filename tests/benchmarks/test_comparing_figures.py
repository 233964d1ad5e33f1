"""The benchmark of the comparison says what was missed, and keeps in its file what it did not measure this time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import comparing
from benchmarks.hostile_answers import JSON, PLAIN
from shadow.comparing.compare import compare
from tests.fakes.pairs import answer


def test_sections_that_were_not_measured_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "comparing.md"
    assert comparing.kept_sections(file, []) == []
    file.write_text("# Comparing\n\nfigures\n\n## Judged again\n\nseldom\n\n## Laws\n\nheld\nby all\n")
    assert comparing.kept_sections(file, [("Judged again", ["often"])]) == [("Laws", ["held", "by all"])]


def test_a_hostile_answer_that_takes_too_long_is_a_goal_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {"two": (JSON, b"[1]", b"[2]", PLAIN)}
    assert comparing.measure_hostile(lists)[1] == []
    monkeypatch.setattr(comparing, "LONGEST", -1.0)
    assert len(comparing.measure_hostile(lists)[1]) == 1


def test_a_hostile_answer_in_which_nothing_is_found_is_a_goal_missed() -> None:
    assert len(comparing.measure_hostile({"none": (JSON, b"[1]", b"[1]", PLAIN)})[1]) == 1


def test_a_law_that_is_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert comparing.measure_laws(50, 1)[1] == []
    monkeypatch.setattr(comparing, "refutation", lambda *_: "a law is broken")
    assert comparing.measure_laws(3, 1)[1] == ["a law is broken"] * 3


def test_pairs_are_what_their_kind_says() -> None:
    for kind, pairs in comparing.draws(1).items():
        legacy, candidate = pairs[0]
        assert compare(answer(legacy), answer(candidate), PLAIN).equal is not kind.startswith("one leaf")

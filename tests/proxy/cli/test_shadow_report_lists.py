"""What `fig shadow report` says of masks and of what is unproven: in a terminal, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.publication import publish
from proxy.rulebook import load
from rules.effective import Effective
from shadow.backfill.asking import Seed
from shadow.backfill.store import SeedStore
from shadow.comparing.compare import judge
from shadow.pair import Kind
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair

MASKS = [
    {"path": "/at", "kind": "ignore", "owner": "ada", "reason": "a clock of its own", "expires": "2999-01-01"},
    {"path": "/n", "kind": "number", "within": "1", "expires": "2020-01-01"},
]
RULES = f"""
version: 1
services: {{legacy: {{url: "http://127.0.0.1:9000"}}, shop: {{url: "http://127.0.0.1:9001"}}}}
legacy: legacy
routes:
  - {{name: shop, match: {{path: /shop/**}}, candidate: shop, stage: shadow, shadow: {{compare: c}}}}
comparisons: {json.dumps({"c": {"masks": MASKS}})}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two writes that a mask excuses."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".fig").mkdir()
    (tmp_path / "fig.yaml").write_text(RULES)
    book = load(tmp_path / "fig.yaml")
    publish(tmp_path / ".fig", Effective(1, book.rules, {}, {"c": {"masks": MASKS}}))
    comparison = Comparison.model_validate({"masks": MASKS})
    store = PairStore(tmp_path / ".fig" / "pairs.db", b"k" * 32)
    told = [
        judge(pair(answer({"at": 1}), answer({"at": 2}), n, route="shop", kind=Kind.WRITE, method="PUT"), comparison)
        for n in range(2)
    ]
    store.add_many(told)
    store.close()
    return tmp_path


def report(*arguments: str) -> str:
    return " ".join(CliRunner().invoke(app, ["shadow", "report", *arguments], env={"COLUMNS": "200"}).output.split())


def test_masks_are_listed_with_what_they_excuse_whose_they_are_and_until_when(folder: Path) -> None:
    told = report()
    assert "- /at ignore: 2 differences in 2 pairs; a clock of its own (ada, until 2999-01-01)" in told
    assert (
        "- /n number within 1: nothing so far; no reason given (no owner, expired 2020-01-01: excuses nothing" in told
    )


def test_keys_that_were_not_seeded_are_an_unproven_stratum_everywhere(folder: Path) -> None:
    assert "what legacy held before the first copy: nobody said which keys those are" in report()
    seeds = SeedStore(folder / ".fig" / "backfill.db", Sealer(b"k" * 32))
    seeds.add("shop", ["1", "2", "3"])
    seeds.settle(1, Seed.SEEDED, "", 1.0)
    seeds.close()
    said = "what legacy held before the first copy: 2 keys not given to the candidate (fig shadow backfill)"
    assert said in report("--html", "report.html")
    assert said in (folder / "report.html").read_text()
    (route,) = json.loads(report("--json"))["routes"]
    assert [(one["stratum"], one["keys"]) for one in route["unproven"] if "keys" in one] == [
        ("what legacy held before the first copy", 2)
    ]
    assert "PUT 2xx" in [one["stratum"] for one in route["unproven"]]

"""The headline run in its short form: 2,000 pairs under 50 kills end in a certificate, and planted bugs in none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.cutover_judging import Outcome, Plan
from benchmarks.cutover_run import Run
from shadow.certifying.certificate import CertificateVerdict


def run(folder: Path, plan: Plan) -> Outcome:
    return asyncio.run(Run(plan, folder).run())


@pytest.mark.timeout(480)
def test_nothing_is_lost_doubled_or_out_of_order_and_all_is_certain_though_everything_is_killed(tmp_path: Path) -> None:
    outcome = run(tmp_path, Plan(pairs=2_000, kills=50, seed=5, patience=450))

    assert outcome.problems == []
    assert outcome.pairs >= 2_000
    assert outcome.kills.total() == 50
    assert {"worker", "shadower", "candidate"} == set(outcome.kills)


@pytest.mark.timeout(300)
def test_a_bug_on_a_few_writes_is_a_no_go(tmp_path: Path) -> None:
    outcome = run(tmp_path, Plan(pairs=150, kills=3, seed=6, bug=5, patience=200, full_disk=False))

    assert outcome.problems == []
    assert outcome.certificate is not None
    assert outcome.certificate.verdict is CertificateVerdict.NO_GO
    assert outcome.differing >= 1

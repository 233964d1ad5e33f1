"""The headline run: a checkout written to both sides while everything is killed, until a certificate has its pairs.

    python -m benchmarks.cutover                              # 200,000 pairs, 1,000 kills, 64 shoppers
    python -m benchmarks.cutover --pairs 2000 --kills 50      # what `make test` runs
    python -m benchmarks.cutover --bug 20                     # 20 seeded writes are answered wrongly

A real `fig serve` with two workers, the route's `on_journal_failure: refuse`, `dedupe` and `read_back`. Workers,
shadower and candidate are killed by SIGKILL at random moments; the candidate is slow and fails for spells; the disk of
the state folder is full once, where this user may mount one (else that is said). At the end the two ledgers tell what
was lost, applied twice or out of order; the journal what is uncertain; the certificate the verdict.

Exit code 0 when nothing was lost, doubled or out of order, nothing is uncertain, and the verdict is the one that the
run asks for (GO, and NO-GO with `--bug`); else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from benchmarks.cutover_judging import Outcome, Plan
from benchmarks.cutover_run import Run


def told(plan: Plan, outcome: Outcome) -> str:
    """The run in words."""
    kills = ", ".join(f"{count} {victim}" for victim, count in sorted(outcome.kills.items()))
    again = ", ".join(f"{count} after {why}" for why, count in outcome.again.most_common(6)) or "none"
    rate = outcome.taken / outcome.seconds
    end, certificate = outcome.standing, outcome.certificate
    lines = [
        f"{outcome.taken:,} writes of {plan.shoppers} shoppers in {outcome.seconds:,.0f} s ({rate:,.0f}/s), "
        f"seed {plan.seed}",
        f"killed: {outcome.kills.total()} ({kills}); sent again by shoppers: {again}",
        f"full disk: {outcome.full_disk}",
        f"{len(outcome.lost)} lost, {len(outcome.twice)} applied twice, {len(outcome.out_of_order)} orders out of "
        f"order, {len(outcome.strangers)} only at the candidate",
        f"at the end {end.in_doubt} in doubt, {end.gaps} gaps, {end.undelivered} undelivered, {end.dead} dead",
        f"{outcome.pairs:,} pairs, {outcome.differing} differ"
        + "".join(f"; apart, without a pair: {count:,} {name}" for name, count in outcome.apart.items()),
        *(f"cause: {words}" for words, _ in outcome.causes),
    ]
    if outcome.bug:
        lines.append(f"masks suggested for it: {', '.join(outcome.suggested) or 'none'}")
    if certificate is not None:
        lines.append(f"{certificate.verdict}: {certificate.reason}; upper bound {certificate.bound:.4g}")
        lines.append("signed, and every link of its chain followed" if not outcome.proof else "not proven")
    return "\n".join((*lines, *(f"PROBLEM: {problem}" for problem in outcome.problems)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Plan()
    parser.add_argument("--pairs", type=int, default=default.pairs)
    parser.add_argument("--kills", type=int, default=default.kills)
    parser.add_argument("--shoppers", type=int, default=default.shoppers)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--bug", type=int, default=0, help="writes that the candidate answers wrongly")
    parser.add_argument("--no-full-disk", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for everything, which stays")
    asked = parser.parse_args()
    plan = Plan(asked.pairs, asked.kills, asked.shoppers, asked.seed, asked.bug, full_disk=not asked.no_full_disk)
    with contextlib.ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cutover-")))
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(Run(plan, folder).run())
        print(told(plan, outcome))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())

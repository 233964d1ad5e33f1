"""What a cut-over run came to: both sides' ledgers, the journal and the certificate, held against the promises."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cutover_side import read
from shadow.causes.naming import sentence
from shadow.certifying.certificate import Certificate, CertificateVerdict, upper_bound
from shadow.journal.reader import read_standing
from shadow.journal.writes import Standing
from shadow.pairs.cause_reader import read_causes
from shadow.pairs.noise_reading import read_advice
from shadow.pairs.reader import PairReader
from shadow.spec import CertificateTarget, Comparison

ROUTE = "checkout"
COMPARISON = {
    "masks": [
        {"path": "/confirmation", "kind": "matches", "pattern": "[0-9a-f]{16}", "reason": "each side makes its own"}
    ]
}
"""As the rules file has it."""


@dataclass(frozen=True)
class Plan:
    """What a run is asked for."""

    pairs: int = 200_000
    kills: int = 1_000
    shoppers: int = 64
    seed: int = 1
    bug: int = 0
    """Writes that the candidate answers wrongly."""
    patience: float = 7_200.0
    """Seconds for the pairs to come together."""
    full_disk: bool = True

    @property
    def accuracy(self) -> str:
        """What so many pairs without a difference can show, in whole hundredths of a per cent."""
        shown = int((1 - upper_bound(self.pairs, 0, 0.95)) * 10_000)
        return f"{shown / 100:g}%"


@dataclass
class Outcome:
    """What came of it."""

    taken: int = 0
    """Writes that shoppers got their 201 for."""
    lost: list[str] = field(default_factory=list)
    """Keys that the candidate never applied."""
    strangers: list[str] = field(default_factory=list)
    """Keys that only the candidate applied."""
    twice: list[str] = field(default_factory=list)
    """Keys that a ledger has more than once, side and key."""
    out_of_order: list[str] = field(default_factory=list)
    """Orders whose writes the sides applied in different order."""
    standing: Standing = field(default_factory=Standing)
    certificate: Certificate | None = None
    pairs: int = 0
    differing: int = 0
    apart: dict[str, int] = field(default_factory=dict)
    """What was captured and has no pair, by stratum."""
    causes: list[tuple[str, int]] = field(default_factory=list)
    """In words, each with the differences that it explains."""
    proof: str = ""
    """What is wrong with the signed certificate: what `fig shadow certify` or `verify` says; empty when it holds."""
    suggested: list[str] = field(default_factory=list)
    """Paths of the masks that fig suggests for what differs."""
    kills: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    full_disk: str = "not asked for"
    seconds: float = 0.0
    bug: int = 0

    @property
    def problems(self) -> list[str]:
        """What is not as it was promised; empty when all is well."""
        found = [
            f"{len(keys)} {what}: {', '.join(keys[:5])}"
            for what, keys in (
                ("lost", self.lost),
                ("only at the candidate", self.strangers),
                ("applied twice", self.twice),
                ("orders out of order", self.out_of_order),
            )
            if keys
        ]
        if self.standing != Standing():
            found.append(f"uncertain at the end: {self.standing}")
        if self.proof:
            found.append(f"the certificate cannot be issued, or does not hold: {self.proof}")
        verdict = self.certificate.verdict if self.certificate is not None else None
        due = CertificateVerdict.NO_GO if self.bug else CertificateVerdict.GO
        if verdict is not due:
            found.append(f"the verdict is {verdict}, and {due} was due")
        if not self.bug and self.differing:
            found.append(f"{self.differing} pairs differ, and no bug was planted")
        if self.bug and self.differing:
            explained = max((count for _, count in self.causes), default=0)
            if len(self.causes) != 1 or explained != self.differing:
                found.append(f"{self.differing} pairs differ by one planted bug, and the causes are {self.causes}")
            if self.suggested:
                found.append(f"masks that would hide a planted bug are suggested: {self.suggested}")
        return found


def judge(outcome: Outcome, plan: Plan, folder: Path) -> None:
    """Read what the run left in `folder`: the ledgers ``legacy`` and ``candidate``, and fig's ``state``."""
    ledgers = {name: read(folder / name) for name in ("legacy", "candidate")}
    keys = {name: Counter(key for _, key, _ in found) for name, found in ledgers.items()}
    outcome.lost = sorted(keys["legacy"].keys() - keys["candidate"].keys())
    outcome.strangers = sorted(keys["candidate"].keys() - keys["legacy"].keys())
    outcome.twice = [f"{name} {key}" for name, found in keys.items() for key, times in found.items() if times > 1]
    orders: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name in ledgers}
    for name, found in ledgers.items():
        for order, key, _ in found:
            orders[name][order].append(key)
    outcome.out_of_order = [
        order for order, of_legacy in orders["legacy"].items() if orders["candidate"].get(order, []) != of_legacy
    ]
    outcome.standing = read_standing(folder / "state" / "journal.db").get(ROUTE, Standing())
    with PairReader(folder / "state" / "pairs.db") as reader:
        target = CertificateTarget.model_validate({"accuracy": plan.accuracy, "pairs": plan.pairs})
        outcome.certificate = reader.certificate(ROUTE, target)
        window = reader.windows(ROUTE)[0]
        outcome.pairs, outcome.differing = window.pairs, window.differing
        outcome.apart = {str(each.name): each.pairs for each in reader.strata(window) if not each.kind.compared}
        known = read_causes(reader, ROUTE)
        outcome.causes = [(sentence(each.cause, each.window.pairs), each.cause.count) for each in known]
    advice = read_advice(folder / "state" / "pairs.db", ROUTE, Comparison.model_validate(COMPARISON))
    outcome.suggested = [each.mask.path for each in advice.suggestions if not each.withheld]


def prove(outcome: Outcome, plan: Plan, folder: Path, admin: str) -> None:
    """Have the certificate signed and every link of its chain followed, by the commands that people use."""
    file, state = str(folder / "certificate.json"), ["--state", str(folder / "state")]
    asked = ["--accuracy", plan.accuracy, "--pairs", str(plan.pairs), "--admin", admin, "-o", file]
    due = CertificateVerdict.NO_GO if plan.bug else CertificateVerdict.GO
    for command, code in ((["certify", ROUTE, *asked], due.exit_code), (["verify", file], 0)):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "proxy.cli", "shadow", *command, *state],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            outcome.proof = f"`fig shadow {command[0]}` ended with {done.returncode}: {done.stdout}{done.stderr}"
            return

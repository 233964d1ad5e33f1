"""Whether a certificate holds: who signed it, whether its numbers follow from each other, whether the chain bears it.

Each check says what it looked at and what it found, for an auditor who has the file alone, or the state folder too.
Nothing here changes anything.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shadow.certifying.chain import BrokenChainError, Link, beginning, followed
from shadow.certifying.signing import fingerprint, signed_by
from shadow.certifying.statement import Document, StatementError, canonical, claims_again, parse
from shadow.certifying.strata import StratumKind
from shadow.pairs.reader import PairReader

MOST_PROBLEMS = 5
"""Contradictions that are listed; one is enough to refuse a certificate."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer."""

    name: str
    holds: bool
    said: str
    """What was found, as a sentence."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of all checks."""

    checks: tuple[Check, ...]
    document: Document | None
    """None where the file is no certificate."""

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    @property
    def exit_code(self) -> int:
        """DESIGN section 7: 0 when everything holds, else 1, whatever the certificate's own verdict is."""
        return 0 if self.holds else 1


def verify(data: bytes, key: bytes | None = None, reader: PairReader | None = None) -> Verification:
    """Check a certificate's bytes; against whose `key` it must be, and against the pairs of a state folder if given."""
    try:
        document, signature = parse(data)
    except StatementError as exc:
        return Verification((Check("form", False, str(exc)),), None)
    checks = [Check("form", True, "a certificate as fig writes it"), _check_signature(document, signature)]
    if key is not None:
        checks.append(_check_key(document, key))
    checks.append(_check_numbers(document))
    if reader is not None and all(check.holds for check in checks):  # else there is nothing to hold the pairs against
        checks.append(_check_chain(document, reader))
    return Verification(tuple(checks), document)


def _check_signature(document: Document, signature: bytes) -> Check:
    public = _public(document)
    if public is None or not signed_by(public, signature, canonical(document)):
        return Check("signature", False, "it is not the signature of what the file says by the key that it names")
    return Check("signature", True, f"signed with the key {fingerprint(public)}")


def _check_key(document: Document, key: bytes) -> Check:
    if _public(document) != key:
        return Check("key", False, f"signed by another key than the one that was given ({fingerprint(key)})")
    return Check("key", True, "which is the one that was given")


def _public(document: Document) -> bytes | None:
    try:
        raw = bytes.fromhex(document["key"])
    except (KeyError, TypeError, ValueError):
        return None
    return raw if len(raw) == 32 else None


def _check_numbers(document: Document) -> Check:
    """Verdict, reason, bounds and shares follow from what was counted; strata add up."""
    try:
        again = claims_again(document)
    except StatementError as exc:
        return Check("numbers", False, str(exc))
    problems = [
        f"'{name}' does not follow from what was counted" for name in again if document.get(name) != again[name]
    ]
    compared = [one for one in document["strata"] if StratumKind(one["kind"]).compared]
    for sum_of, total in (("requests", "pairs"), ("differing", "differing")):
        if sum(one[sum_of] for one in compared) != document["evidence"][total]:
            problems.append(f"the strata's {sum_of} do not add up to '{total}'")
    if problems:
        return Check("numbers", False, "; ".join(problems[:MOST_PROBLEMS]))
    found = document["evidence"]
    return Check(
        "numbers",
        True,
        f"the verdict and every bound follow from {found['pairs']:,} pairs, {found['differing']:,} differing",
    )


def _check_chain(document: Document, reader: PairReader) -> Check:
    try:
        problems = list(_chain_problems(document, reader))
    except BrokenChainError as exc:
        return Check("chain", False, str(exc))
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        return Check("chain", False, f"the pairs cannot be read: {exc}")
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        return Check("chain", False, f"the certificate names no chain that could be followed: {exc}")
    if problems:
        return Check("chain", False, "; ".join(problems[:MOST_PROBLEMS]))
    links = document["chain"]["pairs"]
    return Check("chain", True, f"{links:,} links, computed again, end in the head that the certificate names")


def _chain_problems(document: Mapping[str, Any], reader: PairReader) -> Iterator[str]:
    """What contradicts the certificate. Raises BrokenChainError at a link that is not the next one."""
    named, window = document["chain"], document["window"]
    if window is None:
        if named["pairs"]:
            yield "names a chain and no window"
        return
    route, number = document["route"], window["number"]
    kept = reader.kept_hashes(route, number, named["pairs"])
    tally = _Tally()
    head = ""
    for link, digest in followed(
        beginning(route, number, window["digest"]), reader.links(route, number, named["pairs"])
    ):
        tally.add(link, document["target"]["pairs"])
        head = digest.hex()
        if (stored := kept.get(link.id)) is not None and stored != link.kept:
            yield f"the kept pair {link.id} is not the one of link {link.ordinal}"
    if tally.links != named["pairs"]:
        yield (
            f"{tally.links:,} of {named['pairs']:,} links are there"
            + ("" if tally.links else " (pairs that are under no pin are erased after `keep`)")
        )
    elif head != named["head"]:
        yield "the chain ends in another head than the certificate names"
    elif named["pairs"] == document["evidence"]["pairs"]:  # else only the first pairs of the window are chained
        yield from tally.contradictions(document)


class _Tally:
    """What the links say was counted."""

    def __init__(self) -> None:
        self.links = 0
        self._strata: Counter[tuple[str, str, str, str]] = Counter()
        self._masks: Counter[str] = Counter()
        self._first = 0

    def add(self, link: Link, first: int) -> None:
        self.links += 1
        key = (link.method, link.status_class, link.kind)
        self._strata[*key, "requests"] += 1
        self._strata[*key, "differing"] += link.differs
        self._strata[*key, "masked"] += bool(link.masks) and not link.differs
        self._first += link.differs if link.ordinal <= first else 0
        for mask in filter(None, link.masks.split("\n")):
            self._masks[mask] += 1

    def contradictions(self, document: Mapping[str, Any]) -> Iterator[str]:
        told: Counter[tuple[str, str, str, str]] = Counter()
        for one in document["strata"]:
            if StratumKind(one["kind"]).compared:
                for name in ("requests", "differing", "masked"):
                    told[one["method"], one["status"], one["kind"], name] = one[name]
        for key in sorted({*told, *self._strata}):
            if told[key] != self._strata[key]:
                method, status, kind, name = key
                yield f"{method} {status} ({kind}): {self._strata[key]:,} {name} in the chain, {told[key]:,} certified"
        if self._first != document["evidence"]["differing_first"]:
            yield f"{self._first:,} of the first pairs differ in the chain"
        if +self._masks != +Counter({one["mask"]: one["pairs"] for one in document["masks"]}):
            yield "other masks excused something in the chain than the certificate says"

"""Whether a certificate holds: who signed it, whether its numbers follow from each other, whether the chain bears it.

Each check says what it looked at and what it found, for an auditor who has the file alone, or the state folder too.
Nothing here changes anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shadow.certifying.chain import BrokenChainError, beginning
from shadow.certifying.segments import SEGMENT, Counted, Followed, follow
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
    chain = document.get("chain")
    if not isinstance(chain, dict) or chain.get("pairs") != document["evidence"]["pairs"]:
        problems.append("not every pair that was counted is in the chain")
    window = document.get("window")
    if (window.get("pairs") if isinstance(window, dict) else 0) != document["evidence"]["pairs"]:
        problems.append("the window's pairs are not those that were counted")
    problems += _decisions(document)
    if problems:
        return Check("numbers", False, "; ".join(problems[:MOST_PROBLEMS]))
    found = document["evidence"]
    return Check(
        "numbers",
        True,
        f"the verdict and every bound follow from {found['pairs']:,} pairs, {found['differing']:,} differing",
    )


def _decisions(document: Document) -> Iterator[str]:
    """Whether people's decisions that are told are no more than were counted; of very many the latest are told."""
    settled, declared = document.get("settled"), document["evidence"]["declared"]
    try:
        told = sum(one["count"] for one in settled)  # type: ignore[union-attr]  # told below
        too_many = told > declared
    except (TypeError, KeyError):
        yield "'settled' is no list of decisions, or 'declared' no number of them"
        return
    if too_many:
        yield f"{told:,} decisions of people are told, and {declared:,} counted"


def contradictions(document: Document, reader: PairReader) -> list[str]:
    """What contradicts a document that is not signed yet: its own numbers, or the pairs. Raises BrokenChainError."""
    numbers = _check_numbers(document)
    return [*([] if numbers.holds else [numbers.said]), *_chain_problems(document, reader)][:MOST_PROBLEMS]


def _check_chain(document: Document, reader: PairReader) -> Check:
    try:
        problems = list(_chain_problems(document, reader))
    except BrokenChainError as exc:
        return Check("chain", False, str(exc))
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        return Check("chain", False, f"the pairs cannot be read: {exc}")
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        return Check("chain", False, f"the certificate names no chain that could be followed: {exc}")
    if problems:
        return Check("chain", False, "; ".join(problems[:MOST_PROBLEMS]))
    return Check("chain", True, _followed(document["chain"]))


def _followed(chain: Mapping[str, Any]) -> str:
    sums = chain["pairs"] - chain["links"]
    if not sums:
        return f"{chain['links']:,} links, computed again, end in the head that the certificate names"
    return (
        f"{chain['links']:,} links, computed again, and the sealed sums of {sums:,} pairs, whose links were kept no "
        "more when it was issued, end in the head that the certificate names"
    )


def _chain_problems(document: Mapping[str, Any], reader: PairReader) -> Iterator[str]:
    """What contradicts the certificate. Raises BrokenChainError at a link that is not the next one."""
    named, window = document["chain"], document["window"]
    if window is None:
        if named["pairs"]:
            yield "names a chain and no window"
        return
    route, number, pairs = document["route"], window["number"], named["pairs"]
    start = beginning(route, number, window["digest"])
    kept = dict(reader.kept_hashes(route, number, pairs))
    dropped = reader.dropped(route, number)
    tally = _Tally(document["target"]["pairs"])
    head = b""
    for segment in follow(start, reader.segments(route, number, pairs)):
        tally.add(segment)
        head = segment.seal
        for link in segment.links:
            stored = kept.pop(link.id, None)
            if stored == ((link.ordinal, link.differs, link.kept) if link.kept else None):
                continue
            if stored is not None:
                yield f"the kept pair {link.id} is not the one of link {link.ordinal}"
            elif not any(one.covers(link.ordinal, bool(link.differs)) for one in dropped):
                yield f"the kept pair {link.id} of link {link.ordinal} is gone, and its time was not over"
    if tally.pairs != pairs:
        yield f"{tally.pairs:,} of the {pairs:,} pairs that the certificate names are in the chain"
        return
    if head.hex() != named["head"]:
        yield "the chain ends in another head than the certificate names"
        return
    if tally.links < named["links"]:
        yield (
            f"the links of {named['links'] - tally.links:,} pairs kept when it was issued are kept no more (what no "
            "pin holds is shed in time; `fig shadow certify -o` pins while fig runs)"
        )
    elif kept and tally.links == pairs:  # a pair may be kept for longer than its link
        yield f"the kept pair {min(kept)} is in no link"
    yield from tally.contradictions(document)


class _Tally:
    """What the chain says was counted."""

    def __init__(self, first: int) -> None:
        """`first`: how many pairs are judged."""
        self.pairs = self.links = 0
        """That are in the chain, and of how many of them the links are there."""
        self._counted = Counted()
        self._first = first
        self._differing_first = self._unknown = 0

    def add(self, segment: Followed) -> None:
        self.pairs += segment.pairs
        self.links += len(segment.links)
        self._counted.add_sums(segment.sums)
        before = (segment.number - 1) * SEGMENT
        differing = sum(row[4] for row in segment.sums.strata)
        if before + segment.pairs <= self._first:
            self._differing_first += differing
        elif segment.links:
            self._differing_first += sum(link.differs for link in segment.links if link.ordinal <= self._first)
        elif before < self._first:  # which of its pairs differ is not told by sums
            self._unknown += differing

    def contradictions(self, document: Mapping[str, Any]) -> Iterator[str]:
        sums = self._counted.sums
        found = {row[:3]: row[3:] for row in sums.strata}
        told = {
            (one["method"], one["status"], one["kind"]): (one["requests"], one["differing"], one["masked"])
            for one in document["strata"]
            if StratumKind(one["kind"]).compared
        }
        for key in sorted({*told, *found}):
            for name, counted, certified in zip(
                ("requests", "differing", "masked"), found.get(key, (0, 0, 0)), told.get(key, (0, 0, 0)), strict=True
            ):
                if counted != certified:
                    method, status, kind = key
                    yield f"{method} {status} ({kind}): {counted:,} {name} in the chain, {certified:,} certified"
        claimed = document["evidence"]["differing_first"]
        if not self._differing_first <= claimed <= self._differing_first + self._unknown:
            yield f"{self._differing_first:,} of the first pairs differ in the chain, {claimed:,} certified"
        if dict(sums.masks) != {one["mask"]: one["pairs"] for one in document["masks"]}:
            yield "other masks excused something in the chain than the certificate says"

"""What stands between a route and its GO, and how long its answers have agreed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rules.quantities import fraction_text
from shadow.certifying.certificate import Certificate, CertificateVerdict
from shadow.pairs.kept import Unproven, Window


def streak(window: Window | None, last_difference: int | None) -> int:
    """Pairs in a row that agree, up to now. `last_difference`: ordinal of the last pair that differs, if one does."""
    if window is None or (last_difference is None and window.differing):
        return 0
    return window.pairs - (last_difference or 0)


def blocks(certificate: Certificate, window: Window | None, unproven: Unproven) -> tuple[str, ...]:
    """What keeps the certificate from being GO, a sentence each, the gravest first; nothing when it is GO."""
    if certificate.verdict is CertificateVerdict.GO:
        return ()
    return tuple(_blocks(certificate, window, unproven))


def _blocks(certificate: Certificate, window: Window | None, unproven: Unproven) -> Iterator[str]:
    target, pairs = certificate.target, certificate.evidence.pairs
    if certificate.verdict is CertificateVerdict.NO_GO:
        differing = _many(window.differing if window else 0, "pair differs", "pairs differ")
        yield (
            f"{differing}: mend the candidate, or excuse it by a mask; either begins a new window, in which "
            f"{target.pairs:,} pairs are counted anew"
        )
    if unproven.gaps:
        yield (
            f"{_many(unproven.gaps, 'write was', 'writes were')} not recorded (gaps): "
            "the candidate has not seen them, and fig cannot say what they were"
        )
    if unproven.doubts:
        yield (
            f"{_many(unproven.doubts, 'write is', 'writes are')} in doubt: settle them by read-back, "
            "or yourself with fig shadow doubts"
        )
    if unproven.dead:
        yield (
            f"{_many(unproven.dead, 'copy was', 'copies were')} given up: its service kept failing; "
            "fig shadow deliveries sends them again, or drops them with a reason"
        )
    if unproven.overdue:
        yield f"{_many(unproven.overdue, 'write has', 'writes have')} not reached the other side in time"
    if pairs < target.pairs and certificate.verdict is not CertificateVerdict.NO_GO:
        yield (
            f"{_many(target.pairs - pairs, 'more pair is', 'more pairs are')} needed: {fraction_text(target.accuracy)} "
            f"is shown by {target.pairs:,}"
        )


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"

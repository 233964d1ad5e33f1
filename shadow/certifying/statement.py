"""A certificate as a document: everything that was claimed and what it rests on, as plain data and as a signed file.

All numbers in it are whole; what is not whole is text with its digits fixed (``1.4978e-05``, ``99.99%``), so that the
canonical form (JSON with sorted keys and without blanks, RFC 8785) is the same in every language. The signature is over
that form. The file itself is laid out for people, in one way only: whoever alters a blank of it alters the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rules.quantities import fraction_text
from shadow.certifying.certificate import SEEDS, Certificate, Evidence, Shown, judge_certificate, unproven, upper_bound
from shadow.certifying.signing import public_bytes
from shadow.certifying.strata import Stratum, StratumKind
from shadow.journal.decided import Decided, Settled
from shadow.pairs.chain_tables import Chained
from shadow.pairs.kept import MaskCount, Window
from shadow.spec import CertificateTarget, Mask

FORM = "fig certificate 1"
_SIGNATURE = re.compile("[0-9a-f]{128}")

Document = dict[str, Any]
_NOTHING_DECIDED = Decided()
_NOTHING_SAID: Mapping[str, Mask] = {}


class StatementError(Exception):
    """Bytes that are no certificate, or none as fig writes it; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the certificate was issued under."""

    rules: str
    """Digest of the rules that ran; empty where none did."""
    candidate: str
    """Its URL, and legacy's."""
    legacy: str
    asked: str
    """Who named the target: ``rules``, ``command line`` or ``default``."""
    fig: str
    """Version of fig."""


def number_text(value: float) -> str:
    """Six digits are more than any bound deserves, and the same whoever computes it."""
    return f"{value:.6g}"


def time_text(seconds: float | None) -> str | None:
    """RFC 3339, in UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def state(
    certificate: Certificate,
    origin: Origin,
    windows: Iterable[Window],
    masks: Iterable[MaskCount],
    chain: Chained,
    made: float,
    decided: Decided = _NOTHING_DECIDED,
    said: Mapping[str, Mask] = _NOTHING_SAID,
) -> Document:
    """The document. `windows` come latest first, the one that was judged being the first, and `chain` that window's;
    `made` is seconds since the epoch; `decided` is what became of what was uncertain; `said` are the masks of the
    rules, by name."""
    current, *former = [*windows, None]
    restarts = [_window(one) for one in [current, *former] if one is not None and one.number > 1]
    return {
        "form": FORM,
        "made": time_text(made),
        "fig": origin.fig,
        "route": current.route if current is not None else "",
        **claims(certificate.evidence, certificate.target),
        "masks": [_mask(one, said.get(one.mask)) for one in masks],
        "settled": [_settled(one) for one in decided.by_people],
        "window": None if current is None else {**_window(current), "digest": current.digest},
        "restarts": restarts,
        "restarts_forgotten": current.number - 1 - len(restarts) if current is not None else 0,
        "chain": {"pairs": chain.pairs, "links": chain.links, "head": chain.head.hex() if chain.head else ""},
        "rules": origin.rules,
        "candidate": origin.candidate,
        "legacy": origin.legacy,
        "asked": origin.asked,
    }


def claims(evidence: Evidence, target: CertificateTarget) -> Document:
    """All that follows from what was counted and what was asked; a verifier computes it again."""
    certificate = judge_certificate(evidence, target)
    excused = sum(one.excused for one in evidence.strata if one.kind.compared)
    captured = sum(one.pairs for one in evidence.strata if one.kind is not StratumKind.STATE)
    return {
        "verdict": str(certificate.verdict),
        "reason": certificate.reason,
        "bound": number_text(certificate.bound),
        "target": {
            "accuracy": fraction_text(target.accuracy),
            "pairs": target.pairs,
            "confidence": fraction_text(target.confidence),
            "differences": target.differences.value,
            "strata": [
                {
                    "method": one.method,
                    "status": one.status,
                    "kind": one.kind,
                    "accuracy": fraction_text(one.accuracy),
                    "pairs": one.pairs,
                }
                for one in target.strata
            ],
        },
        "allowed": certificate.allowed,
        "evidence": {
            "captured": captured,
            "pairs": evidence.pairs,
            "differing": evidence.differing,
            "differing_first": evidence.differing_first,
            "masked": excused,
            "gaps": evidence.gaps,
            "doubts": evidence.doubts,
            "dead": evidence.dead,
            "undelivered": evidence.undelivered,
            "overdue": evidence.overdue,
            "declared": evidence.declared,
            "resolved": evidence.resolved,
            "unseeded": evidence.unseeded,
        },
        "masked_share": number_text(excused / evidence.pairs if evidence.pairs else 0.0),
        "strata": [_stratum(one, target.confidence) for one in evidence.strata],
        "asked_of_strata": [_shown(one) for one in certificate.strata],
        "unproven": unproven_documents(evidence, target),
    }


def unproven_documents(evidence: Evidence, target: CertificateTarget) -> list[Document]:
    """What shows too little on its own, as plain data."""
    return [_shown(one) | ({"keys": one.keys} if one.name == SEEDS else {}) for one in unproven(evidence, target)]


def _mask(one: MaskCount, mask: Mask | None) -> Document:
    """`owner`, `reason` and `expires` are null where the rules do not say them."""
    return {
        "mask": one.mask,
        "pairs": one.pairs,
        "excused": one.count,
        "owner": mask.owner if mask is not None else None,
        "reason": mask.reason if mask is not None else None,
        "expires": mask.expires.isoformat() if mask is not None and mask.expires is not None else None,
    }


def _settled(one: Settled) -> Document:
    return {
        "what": one.kind,
        "decision": one.decision,
        "count": one.count,
        "who": one.who,
        "why": one.why,
        "first": time_text(one.first),
        "last": time_text(one.last),
    }


def _stratum(one: Stratum, confidence: float) -> Document:
    return {
        "method": one.method,
        "status": one.status_class,
        "kind": one.kind.value,
        "requests": one.pairs,
        "differing": one.differing,
        "masked": one.excused,
        "attempts": one.attempts,
        "bound": number_text(upper_bound(one.pairs, one.differing, confidence)) if one.kind.compared else None,
    }


def _shown(one: Shown) -> Document:
    return {
        "stratum": one.name,
        "pairs": one.pairs,
        "differing": one.differing,
        "bound": number_text(one.bound),
        "accuracy": fraction_text(one.accuracy),
        "needed": one.needed,
    }


def _window(window: Window) -> Document:
    return {
        "number": window.number,
        "since": time_text(window.started),
        "until": time_text(window.last),
        "reason": window.reason,
        "pairs": window.pairs,
        "differing": window.differing,
    }


def claims_again(document: Mapping[str, Any]) -> Document:
    """`claims`, from what the document says was counted and asked. Raises StatementError where it says it wrongly."""
    try:
        found = document["evidence"]
        evidence = Evidence(
            pairs=found["pairs"],
            differing=found["differing"],
            differing_first=found["differing_first"],
            gaps=found["gaps"],
            doubts=found["doubts"],
            overdue=found["overdue"],
            dead=found["dead"],
            undelivered=found["undelivered"],
            declared=found["declared"],
            resolved=found["resolved"],
            unseeded=found["unseeded"],
            strata=tuple(
                Stratum(
                    one["method"],
                    one["status"],
                    StratumKind(one["kind"]),
                    one["requests"],
                    one["differing"],
                    one["masked"],
                    one["attempts"],
                )
                for one in document["strata"]
            ),
        )
        return claims(evidence, CertificateTarget.model_validate(document["target"]))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        raise StatementError(f"says something that no certificate says: {exc}") from exc


def canonical(document: Mapping[str, Any]) -> bytes:
    """What is signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(document: Document, signer: Ed25519PrivateKey) -> bytes:
    """The file: the document with the signer's public key, and the signature over it."""
    whole = {**document, "key": public_bytes(signer).hex()}
    return laid_out(whole, signer.sign(canonical(whole)))


def laid_out(document: Mapping[str, Any], signature: bytes) -> bytes:
    """The one way in which the file is written."""
    told = {"certificate": document, "signature": signature.hex()}
    return json.dumps(told, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"


def parse(data: bytes) -> tuple[Document, bytes]:
    """The document and its signature, neither of them checked but for their form. Raises StatementError."""
    try:
        told = json.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise StatementError(f"is no JSON: {exc}") from exc
    if not isinstance(told, dict) or set(told) != {"certificate", "signature"}:
        raise StatementError("is no certificate of fig: it has not just 'certificate' and 'signature'")
    document, signature = told["certificate"], told["signature"]
    if not isinstance(document, dict) or document.get("form") != FORM:
        raise StatementError(f"is no certificate of the form '{FORM}'")
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise StatementError("its signature is not written as 128 hex digits")
    parsed = bytes.fromhex(signature)
    try:
        again = laid_out(document, parsed)
    except (ValueError, RecursionError) as exc:  # half a character, or lists in lists without end
        raise StatementError(f"says something that no certificate says: {exc}") from exc
    if again != data:
        raise StatementError("is not laid out as fig writes it, so it was altered after it was signed")
    return document, parsed

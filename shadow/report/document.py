"""The report as plain data, for --json and whatever reads it."""

from __future__ import annotations

from typing import Any

from shadow.causes.naming import claim, sentence
from shadow.causes.states import Known
from shadow.certifying.certificate import Certificate, CertificateVerdict
from shadow.certifying.statement import unproven_documents
from shadow.certifying.strata import Stratum
from shadow.journal.open_lists import OpenWrites
from shadow.journal.settling import short
from shadow.journal.writes import State
from shadow.pairs.kept import KeptPair
from shadow.report.building import MaskReport, PlaceReport, Report, RouteReport


def to_document(report: Report) -> dict[str, Any]:
    """The report as plain data, for --json. Times are seconds since the epoch."""
    return {
        "made": report.made,
        "exit_code": report.exit_code,
        "notes": list(report.notes),
        "routes": [_document(each) for each in report.routes],
    }


def _document(report: RouteReport) -> dict[str, Any]:
    window = report.windows[0] if report.windows else None
    return {
        "route": report.route,
        "stage": report.stage or None,
        "headline": report.headline,
        "pairs": report.pairs,
        "matches": report.matches,
        "differing": report.differing,
        "streak": report.streak,
        "blocks": list(report.blocks),
        "writes": window.writes if window else 0,
        "excused": window.excused if window else 0,
        "unsettled": window.unsettled if window else 0,
        "window": {"number": window.number, "since": window.started, "until": window.last, "reason": window.reason}
        if window
        else None,
        "restarts": [
            {"at": each.started, "reason": each.reason, "pairs": each.pairs}
            for each in report.windows
            if each.number > 1
        ],
        "certificate": certificate_document(report.certificate),
        "differences": [_place(each) for each in report.places],
        "causes": [cause_document(each.known) for each in report.causes],
        "masks": [_mask(each) for each in report.masks],
        "gaps": report.unproven.gaps,
        "doubts": report.unproven.doubts,
        "undelivered": report.unproven.undelivered,
        "dead": report.unproven.dead,
        "overdue": report.unproven.overdue,
        "settled": report.unproven.declared,
        "open": _open(report.open),
        "captured": report.captured,
        "unproven": unproven_documents(report.certificate.evidence, report.certificate.target),
        "strata": [_stratum(each) for each in report.strata],
    }


def _open(writes: OpenWrites | None) -> dict[str, Any]:
    """The latest few of what is open."""
    if writes is None:
        return {"copies": [], "doubts": [], "gaps": []}
    return {
        "copies": [
            {
                "sequence": each.sequence,
                "state": "dead" if each.state is State.DEAD else "owed",
                "method": each.method,
                "to": str(each.to),
                "key": each.key,
                "arrived": each.arrival,
                "reason": each.reason,
                "attempts": each.attempts,
                "status": each.copy_status or None,
            }
            for each in (*writes.dead, *writes.owed)
        ],
        "doubts": [
            {
                "sequence": each.sequence,
                "method": each.method,
                "what": "copy" if each.of_copy else "write",
                "in_question": str(each.asks),
                "key": short(each.key),
                "arrived": each.arrival,
                "reason": each.reason,
            }
            for each in writes.doubts
        ],
        "gaps": [{"id": each.id, "key": each.key, "at": each.started, "reason": each.reason} for each in writes.gaps],
    }


def certificate_document(certificate: Certificate) -> dict[str, Any]:
    """A certificate as plain data."""
    target, evidence = certificate.target, certificate.evidence
    decided = certificate.verdict in (CertificateVerdict.GO, CertificateVerdict.NO_GO)
    return {
        "verdict": str(certificate.verdict),
        "reason": certificate.reason,
        "accuracy": target.accuracy,
        "confidence": target.confidence,
        "pairs_needed": target.pairs,
        "pairs": evidence.pairs,
        "differing": evidence.differing,
        "allowed": certificate.allowed,
        "bound": certificate.bound if decided else None,
    }


def cause_document(known: Known) -> dict[str, Any]:
    """A cause as plain data."""
    cause, acknowledged = known.cause, known.acknowledgement
    return {
        "cause": cause.id,
        "transform": cause.transform,
        "claim": claim(cause),
        "sentence": sentence(cause, known.window.pairs),
        "state": str(known.state),
        "why": known.why,
        "window": known.window.number,
        "pairs": cause.pairs,
        "pairs_are_exact": cause.exact,
        "differences": cause.count,
        "places": [
            {
                "path": each.path,
                "kind": each.kind,
                "pairs": each.pairs,
                "differences": each.count,
                "unexplained": each.of - each.count,
            }
            for each in cause.at
        ],
        "mapping": [
            {"legacy": each.legacy_shown, "candidate": each.candidate_shown, "count": each.count}
            for each in cause.mapping
        ]
        if cause.transform == "mapping"
        else [],
        "first": known.first,
        "last": known.last,
        "acknowledged": {"who": acknowledged.who, "why": acknowledged.why, "at": acknowledged.at}
        if acknowledged
        else None,
        "examples": [
            {"pair": each.pair, "pointer": each.pointer, "legacy": each.legacy, "candidate": each.candidate}
            for each in cause.examples
        ],
    }


def _stratum(stratum: Stratum) -> dict[str, Any]:
    return {
        "method": stratum.method,
        "status_class": stratum.status_class,
        "kind": str(stratum.kind),
        "requests": stratum.pairs,
        "differing": stratum.differing,
        "excused": stratum.excused,
        "attempts": stratum.attempts,
    }


def _mask(report: MaskReport) -> dict[str, Any]:
    mask = report.mask
    return {
        "mask": report.name,
        "pairs": report.count.pairs,
        "excused": report.count.count,
        "owner": mask.owner if mask else None,
        "reason": mask.reason if mask else None,
        "expires": mask.expires.isoformat() if mask and mask.expires else None,
        "expired": report.expired,
    }


def _place(report: PlaceReport) -> dict[str, Any]:
    place = report.place
    return {
        "path": place.path,
        "kind": str(place.kind),
        "sentence": report.sentence,
        "pairs": place.pairs,
        "count": place.count,
        "rate": report.rate,
        "first": place.first,
        "last": place.last,
        "noise": {
            "asked": report.noise.noise.of,
            "differing": report.noise.noise.hits,
            "low": report.noise.noise.low,
            "high": report.noise.noise.high,
            "verdict": str(report.noise.verdict),
        }
        if report.noise is not None
        else None,
        "samples": [_sample(report, sample) for sample in report.samples],
    }


def _sample(report: PlaceReport, sample: KeptPair) -> dict[str, Any]:
    """One difference of a kept pair. Values are JSON text, so that no digit is lost on the way; null is no value."""
    found = report.differences(sample)
    pair = sample.pair
    return {
        "pair": pair.id,
        "method": pair.method,
        "target": pair.target,
        "started": pair.started,
        "pointer": found[0].pointer if found else report.place.path,
        "legacy": found[0].legacy if found else None,
        "candidate": found[0].candidate if found else None,
    }

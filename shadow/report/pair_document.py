"""One pair as plain data, for --json and whatever reads it."""

from __future__ import annotations

from typing import Any

from shadow.comparing.aligned import Fold, Row
from shadow.journal.key_history import KeyWrite
from shadow.pair import Answer
from shadow.report.pair_view import PairView
from shadow.report.wording import sentence


def pair_document(view: PairView) -> dict[str, Any]:
    """Times are seconds, moments seconds since the epoch; values of differences are JSON text, null is no value."""
    pair = view.kept.pair
    return {
        "pair": pair.id,
        "route": pair.route,
        "kind": str(pair.kind),
        "started": pair.started,
        "client_got": str(pair.side),
        "request": {
            "method": pair.method,
            "target": pair.target,
            "headers": [list(each) for each in pair.request_headers],
            "id": pair.request_id,
        },
        "legacy": _answer(pair.legacy),
        "candidate": _answer(pair.candidate),
        "slower": view.slower,
        "differences": [
            {
                "kind": str(each.kind),
                "sentence": sentence(each.kind, each.path),
                "pointer": each.pointer,
                "path": each.path,
                "legacy": each.legacy,
                "candidate": each.candidate,
            }
            for each in view.kept.differences
        ],
        "excused": [{"mask": each.mask, "count": each.count} for each in view.kept.excused],
        "headers": [
            {"name": each.name, "legacy": each.legacy, "candidate": each.candidate, "mark": str(each.mark)}
            for each in view.headers
        ],
        "rows": [_row(each) for each in view.rows],
        "key_history": [_write(each) for each in view.history],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "status": answer.status or None,
        "failure": answer.failure or None,
        "seconds": answer.seconds,
        "headers": [list(each) for each in answer.headers],
        "body": answer.body.decode(errors="replace"),
        "truncated": answer.truncated,
    }


def _row(row: Row | Fold) -> dict[str, Any]:
    if isinstance(row, Fold):
        return {"mark": "folded", "rows": [_row(each) for each in row.rows]}
    return {"mark": str(row.mark), "legacy": row.legacy, "candidate": row.candidate}


def _write(write: KeyWrite) -> dict[str, Any]:
    return {
        "sequence": write.sequence,
        "method": write.method,
        "arrival": write.arrival,
        "answered_by": str(write.side),
        "status": write.status or None,
        "copy_status": write.copy_status or None,
        "attempts": write.attempts,
        "state": write.state,
        "reason": write.reason,
    }

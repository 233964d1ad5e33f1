"""Answers that fig gives itself: short JSON that names the request id and nothing of the inside."""

from __future__ import annotations

import json
from http import HTTPStatus

from proxy.dataplane.refusals import Refusal

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TITLES = {s.value: s.phrase for s in HTTPStatus}


def own_answer(refusal: Refusal, request_id: str, *, close: bool, head_only: bool = False) -> bytes:
    """The whole answer as bytes. ``head_only`` for HEAD: the same head, no body (RFC 9110 9.3.2)."""
    title = _TITLES.get(refusal.status, "Error")
    body = (
        json.dumps({"status": refusal.status, "error": title, "message": refusal.message, "request_id": request_id})
        + "\n"
    ).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {title}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        "Server: fig",
    ]
    if refusal.retry_after:
        lines.append(f"Retry-After: {max(1, round(refusal.retry_after))}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return head if head_only else head + body

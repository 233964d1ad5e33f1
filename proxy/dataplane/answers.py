"""Answers that fig gives itself: refusals, as short JSON that names the request id and nothing of the inside, and what
a route has it answer.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from proxy.dataplane.refusals import Refusal
from rules.own_answers import OwnAnswer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TITLES = {s.value: s.phrase for s in HTTPStatus}


def own_answer(refusal: Refusal, request_id: str, *, close: bool, head_only: bool = False, issue: str = "") -> bytes:
    """The whole answer as bytes. ``head_only`` for HEAD: the same head, no body (RFC 9110 9.3.2).

    `issue` is a Set-Cookie value: a unit is issued also where the side that it chose could not answer. Otherwise such
    clients would be dealt another side, those of the other side would not, and the sides would drift from their shares.
    """
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
    if issue:
        lines.append(f"Set-Cookie: {issue}")
    if refusal.retry_after:
        lines.append(f"Retry-After: {max(1, round(refusal.retry_after))}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return head if head_only else head + body


def route_answer(answer: OwnAnswer, request_id: str, *, close: bool, head_only: bool, keep_alive: bool) -> bytes:
    """The redirect or fixed answer of a route. `keep_alive`: an HTTP/1.0 client has to be told that it may go on."""
    has_content = answer.status not in (204, 205, 304)  # RFC 9110 15.3.5, 15.3.6, 15.4.5
    body = answer.body if has_content else b""
    lines = [f"HTTP/1.1 {answer.status} {_TITLES.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if has_content or answer.status == 205:
        lines.append(f"Content-Length: {len(body)}")
    lines.append(f"X-Request-Id: {request_id}")
    if close:
        lines.append("Connection: close")
    elif keep_alive:
        lines.append("Connection: keep-alive")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if head_only else head + body

"""Answers that fig gives itself: refusals, as short JSON that names the request id and nothing of the inside, and what
a route has it answer.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from proxy.dataplane.dates import date_line
from proxy.dataplane.refusals import Refusal
from rules.own_answers import OwnAnswer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# RFC 9110 section 15 has other words for some than Python has.
_TITLES = {s.value: s.phrase for s in HTTPStatus} | {413: "Content Too Large", 414: "URI Too Long"}
_ALLOW = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"
"""The common methods. Others are forwarded too; what a service makes of any of them, only it can say."""


def own_answer(
    refusal: Refusal,
    request_id: str,
    wall: float,
    *,
    close: bool,
    head_only: bool = False,
    keep_alive: bool = False,
    issue: str = "",
) -> bytes:
    """The whole answer as bytes. ``head_only`` for HEAD: the same head, no body (RFC 9110 9.3.2). `wall`: seconds since
    the epoch. `keep_alive`: an HTTP/1.0 client has to be told that it may go on.

    `issue` is a Set-Cookie value: a unit is issued also where the side that it chose could not answer. Otherwise such
    clients would be dealt another side, those of the other side would not, and the sides would drift from their shares.
    """
    title = _TITLES.get(refusal.status, "Error")
    lines = [
        f"HTTP/1.1 {refusal.status} {title}",
        f"X-Request-Id: {request_id}",
        "Cache-Control: no-store",
        "Server: fig",
    ]
    body = b""
    if refusal.message:
        told = {"status": refusal.status, "error": title, "message": refusal.message, "request_id": request_id}
        body = (json.dumps(told) + "\n").encode()
        lines.append("Content-Type: application/json")
    lines.append(f"Content-Length: {len(body)}")
    if refusal.status in (200, 405):  # RFC 9110 9.3.7 and 15.5.6
        lines.append(_ALLOW)
    if issue:
        lines.append(f"Set-Cookie: {issue}")
    if refusal.retry_after:
        lines.append(f"Retry-After: {max(1, round(refusal.retry_after))}")
    head = _head(lines, wall, close=close, keep_alive=keep_alive)
    return head if head_only else head + body


def route_answer(
    answer: OwnAnswer, request_id: str, wall: float, *, close: bool, head_only: bool, keep_alive: bool
) -> bytes:
    """The redirect or fixed answer of a route. For `wall` and `keep_alive` see `own_answer`."""
    has_content = answer.status not in (204, 205, 304)  # RFC 9110 15.3.5, 15.3.6, 15.4.5
    body = answer.body if has_content else b""
    lines = [f"HTTP/1.1 {answer.status} {_TITLES.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if has_content or answer.status == 205:
        lines.append(f"Content-Length: {len(body)}")
    lines.append(f"X-Request-Id: {request_id}")
    head = _head(lines, wall, close=close, keep_alive=keep_alive)
    return head if head_only else head + body


def _head(lines: list[str], wall: float, *, close: bool, keep_alive: bool) -> bytes:
    """These lines, Date (RFC 9110 6.6.1) unless they have it, and what becomes of the connection."""
    head = "\r\n".join((*lines, "")).encode("latin-1")
    if not any(line[:5].lower() == "date:" for line in lines):
        head += date_line(wall)
    if close:
        head += b"Connection: close\r\n"
    elif keep_alive:
        head += b"Connection: keep-alive\r\n"
    return head + b"\r\n"

"""What a route makes of a request for one side, and of that side's answer, carried out on checked heads. Pure.

Runs after the fields of one hop are gone (RFC 9110 section 7.6.1) and before fig adds its own, which no route may
change (rules.action.FIXED_FIELDS); so it can neither bring back the one nor forge the other.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.dataplane.fields import ANSWER_KINDS, DATE, LASTING, PASS, REQUEST_KINDS, Field
from proxy.dataplane.heads import AnswerHead, RequestHead
from rules.action import SERVICE_HOST
from rules.rewriting import FieldChanges, SideChange, Values


class Outgoing(NamedTuple):
    """A request as one side's service gets it, without the lines that fig adds."""

    target: bytes
    host: bytes
    """``b""``: the authority of the service."""
    fields: list[Field]
    lines: list[bytes]

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("ascii")


class ForCopy(NamedTuple):
    """What a copy says in place of what the client sent, and what is changed of its answer before it is compared."""

    target: bytes
    host: bytes
    """``b""``: the authority of the service."""
    fields: list[tuple[bytes, bytes]]
    """In place of the client's own; those that fig adds come with them."""
    answer_removed: frozenset[str]
    """Names, lower case."""
    answer_added: list[tuple[bytes, bytes]]


def outgoing(head: RequestHead, change: SideChange | None, values: Values) -> Outgoing:
    """Raises rules.rewriting.RewriteError."""
    if change is None:
        return Outgoing(head.target, head.host_value, head.fields, head.lines)
    target, host, fields, lines = head.target, head.host_value, head.fields, head.lines
    if change.rewrite is not None and head.path != "*":  # OPTIONS * has no path to rewrite
        rewritten = change.request(head, values)
        if (rewritten.path, rewritten.query) != (head.path, head.query):
            target = (f"{rewritten.path}?{rewritten.query}" if rewritten.query else rewritten.path).encode("ascii")
        if rewritten.host:
            host = b"" if rewritten.host == SERVICE_HOST else rewritten.host.encode("ascii")
    if change.request_fields is not None:
        fields = _changed(head.fields, change.request_fields, values, REQUEST_KINDS)
        lines = [field.line for field in fields if field.kind in LASTING]
    return Outgoing(target, host, fields, lines)


def for_copy(request: Outgoing, change: SideChange, values: Values) -> ForCopy:
    """The request as the side gets it, and the changes of its answer."""
    changes = change.answer_fields
    return ForCopy(
        request.target,
        request.host,
        [(field.line.partition(b":")[0], field.value) for field in request.fields if field.kind in LASTING],
        changes.removed if changes is not None else frozenset(),
        [(n.encode("ascii"), v.encode("latin-1")) for n, v in changes.lines(values)] if changes is not None else [],
    )


def change_answer(head: AnswerHead, changes: FieldChanges, values: Values) -> None:
    """In place: what the client gets is what a copy is compared by."""
    framing = [line for line in head.lines if line[:15].lower() == b"content-length:"]  # of HEAD and 304
    head.fields[:] = _changed(head.fields, changes, values, ANSWER_KINDS)
    head.lines[:] = framing + [field.line for field in head.fields if field.kind in LASTING]
    if "date" in changes.removed or any(field.kind == DATE for field in head.fields):
        head.dated = True  # what the rules say of it is not overruled


def without(trailers: tuple[bytes, ...], changes: FieldChanges | None) -> tuple[bytes, ...]:
    """The trailer lines that may stay: what is taken out of a head must not come in behind the body."""
    if changes is None or not trailers:
        return trailers
    removed = _folded(changes)
    return tuple(
        line for line in trailers if line.partition(b":")[0].decode("ascii").lower().replace("_", "-") not in removed
    )


def _changed(fields: list[Field], changes: FieldChanges, values: Values, kinds: dict[str, int]) -> list[Field]:
    removed = _folded(changes)
    kept = [field for field in fields if field.name.replace("_", "-") not in removed]
    for name, value in changes.lines(values):
        text = value.strip(" \t").encode("latin-1")
        lower = name.lower()
        kind = kinds.get(lower, PASS)
        if kind not in LASTING:
            kind = PASS  # what ends at this connection when a client sends it goes on when the rules say so
        kept.append(Field(kind, lower, text, b"%b: %b\r\n" % (name.encode("ascii"), text)))
    return kept


def _folded(changes: FieldChanges) -> frozenset[str]:
    """CGI and WSGI read X_Secret and X-Secret as one: whoever removes the one means the other too."""
    return frozenset(name.replace("_", "-") for name in changes.removed)

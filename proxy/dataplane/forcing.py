"""The token that forces a side is fig's secret: it goes no further than the decision, to no service, into no copy."""

from __future__ import annotations

from proxy.dataplane.fields import COOKIE, Field
from proxy.dataplane.heads import RequestHead
from rules.document import Force
from rules.matching.cookies import without_cookie


def strip(head: RequestHead, force: Force) -> None:
    """Take the forcing header, and the forcing cookie out of its line, whoever sent them and whatever they say."""
    kept: list[Field] = []
    gone: list[bytes] = []
    for field in head.fields:
        if force.header is not None and field.name == force.header:
            gone.append(field.line)
        elif field.kind == COOKIE and force.cookie is not None:
            rest = without_cookie(field.value.decode("latin-1"), force.cookie).encode("latin-1")
            if rest == field.value:
                kept.append(field)
                continue
            gone.append(field.line)
            if rest:
                kept.append(Field(field.kind, field.name, rest, b"Cookie: %b\r\n" % rest))
        else:
            kept.append(field)
    if not gone:
        return
    forwarded = [line for line in head.lines if line not in gone]
    known = {field.line for field in head.fields}
    forwarded += [field.line for field in kept if field.line not in known]
    head.fields[:] = kept
    head.lines[:] = forwarded
    head.cookies = [field.value for field in kept if field.kind == COOKIE]

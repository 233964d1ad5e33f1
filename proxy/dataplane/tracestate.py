"""The tracestate that belongs to a traceparent: whether it is one (W3C Trace Context, level 2, section 3.3). Pure.

Asked only where fig takes part in a trace. Where it passes a traceparent on unchanged, tracestate goes on unchanged as
well (section 4), whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MEMBER = re.compile(
    rb"[a-z0-9][a-z0-9_\-*/@]{0,255}"  # 3.3.1.3.1: the key
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"  # 3.3.1.3.2: the value
)
MOST_MEMBERS = 32


def combined(values: Sequence[bytes]) -> bytes | None:
    """All lines as one, in their order; ``b""`` where they say nothing, None where they are to be discarded."""
    members = [part for part in (piece.strip(b" \t") for value in values for piece in value.split(b",")) if part]
    keys = {member.partition(b"=")[0] for member in members}
    if len(members) > MOST_MEMBERS or len(keys) < len(members):
        return None
    if not all(_MEMBER.fullmatch(member) for member in members):
        return None
    return b",".join(members)

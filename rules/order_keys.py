"""The order key that stands in a JSON body: of the request (`order_by`), or of the answer for later writes (`then_by`).

Pure. A key is compared as text, so `17` and `"17"` are one key: an order that an answer calls 17 stands in later paths.
"""

from __future__ import annotations

import json

from rules.selectors import steps_of


def key_in(body: bytes, pointer: str) -> str:
    """The string or number at `pointer` (RFC 6901), numbers as they are written; ``""`` where there is none.

    Also for a body that is no JSON, or has a content coding on it: such a write is ordered with nothing.
    """
    try:
        found = json.loads(body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return ""
    for step in steps_of(pointer):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and step.isascii() and len(step) < 10:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return ""
    return found if isinstance(found, str) else ""

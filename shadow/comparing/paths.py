"""Where in an answer a difference lies, and the patterns that name such places.

A *pointer* names one place:

- ``/items/3/price`` in a JSON body, a JSON Pointer (RFC 6901); ``""`` is the whole of it;
- ``/html[1]/body[1]/p[2]/text()[1]`` and ``/catalog[1]/item[3]/@price`` in an HTML or XML body, as XPath has it;
- ``form:name`` in a form, ``form:name/1`` where a side has several fields of that name;
- ``line:12`` of a text;
- ``header:etag``; of cookies ``header:set-cookie/name`` for a whole one, ``header:set-cookie/name/value`` and
  ``header:set-cookie/name/path`` for what it says;
- ``status``, and ``body`` for all that has no parts.

Its *path* is the pointer with what varies from answer to answer replaced by ``*``, so that differences of many pairs
count together: list indexes, positions of elements, and keys that are numbers, UUIDs or long hexadecimal digests. Masks
name places by patterns of pointers (`compile_pattern`); what stands in a path is always such a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Step = str | int
"""One step into a JSON value: a key of an object, or an index of a list."""

_VARYING_KEY = re.compile(r"\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24,128}")


def escape(key: str) -> str:
    """A key as a reference token (RFC 6901 section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer(steps: Sequence[Step]) -> str:
    """``/items/3/price``; ``""`` is the whole body."""
    return "".join(f"/{step}" if isinstance(step, int) else f"/{escape(step)}" for step in steps)


def path(steps: Sequence[Step]) -> str:
    """``/items/*/price``."""
    return "".join(
        "/*" if isinstance(step, int) or _VARYING_KEY.fullmatch(step) else f"/{escape(step)}" for step in steps
    )


def compile_pattern(pattern: str, below: bool = False) -> re.Pattern[str]:
    """What matches the pointers that `pattern` names: ``*`` is one step, ``**`` any number of them, also none.

    With `below`, also everything inside those places.
    """
    parts = []
    for part in re.split(r"(/\*\*|\*)", pattern):
        if part == "/**":
            parts.append(r"(?:/[^/]*)*")
        elif part == "*":
            parts.append(r"[^/]*")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts) + (r"(?:/.*)?" if below else ""), re.DOTALL)

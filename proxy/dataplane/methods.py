"""What a request's method says about doing it twice."""

from __future__ import annotations

from typing import Final

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""RFC 9110 9.2.1."""
IDEMPOTENT: Final = SAFE | {"PUT", "DELETE"}
"""RFC 9110 9.2.2."""

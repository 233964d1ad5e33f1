"""Which values no screen shows, also when the rules file holds them: those whose names sound like secrets. Pure."""

from __future__ import annotations

import re

NOT_SHOWN = "(not shown)"
"""Stands for such a value."""
_SECRET = re.compile(r"auth|token|secret|passw|credential|key|sess|signature|^(?:connect[.])?sid$", re.IGNORECASE)


def may_be_secret(name: str) -> bool:
    """Whether a header, cookie or parameter of this name may carry a secret."""
    return _SECRET.search(name) is not None


def header_may_be_secret(name: str) -> bool:
    """The same of a whole header line: all cookies stand in one."""
    return "cookie" in name.lower() or may_be_secret(name)

"""Signatures of what fig posts: that it is from fig, whole, and not sent again by somebody else. Pure.

``X-Fig-Signature: t=1700000000,v1=5257a8...``: t is when it was sent, in seconds since the epoch; v1 the HMAC-SHA256
(RFC 2104) of t, a full stop and the body's bytes, as hexadecimal digits. The form is the one that Stripe made usual, so
receivers can use what they have for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re

HEADER = "X-Fig-Signature"
TOLERANCE = 300.0
"""Seconds that a receiver's clock may be away from fig's."""
_FORM = re.compile(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})")


def sign(secret: str, body: bytes, at: float) -> str:
    """The header's value. `at`: seconds since the epoch."""
    moment = str(int(at))
    return f"t={moment},v1={_digest(secret, moment, body)}"


def is_genuine(secret: str, body: bytes, header: str, now: float, tolerance: float = TOLERANCE) -> bool:
    """Whether whoever knows the secret has signed this body within `tolerance` seconds: what a receiver does."""
    found = _FORM.fullmatch(header)
    if found is None or abs(now - int(found[1])) > tolerance:
        return False
    return hmac.compare_digest(found[2], _digest(secret, found[1], body))


def _digest(secret: str, moment: str, body: bytes) -> str:
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()

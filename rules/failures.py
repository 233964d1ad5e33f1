"""How an exchange can fail, as workers number it in their rows and as rules files name it."""

from __future__ import annotations

FAILURES = (
    *("", "connect", "timeout", "reset", "malformed", "status", "fallback", "overloaded", "left", "rewrite"),
    *("tls", "breaker"),
)
"""By number; 0 is none. `status`: an answer of 500 or more; `overloaded`: the service was full, and fig answered 503;
`left`: the client was gone before the service answered; `rewrite`: the rules make no request of it for that side, and
fig answered 500; `breaker`: the service had failed too often, was left alone, and fig answered 503."""

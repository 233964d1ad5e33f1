"""Why fig itself answers: a request that cannot be forwarded, or a service that could not answer.

One exception, `Refusal`, carries the status, a reason from a fixed set (a metric label) and a sentence for the client.
It is translated to bytes once, in `answers`.
"""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  # not an error of fig but a decision about a request
    """fig answers this request itself; `close` says whether the connection can be trusted afterwards."""

    def __init__(self, status: int, reason: str, message: str, *, close: bool = True, retry_after: float = 0.0) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.close = close
        self.retry_after = retry_after
        super().__init__(f"{status} {reason}: {message}")


def malformed(reason: str, message: str) -> Refusal:
    """400: what two servers could read differently goes no further, and the connection is closed."""
    return Refusal(400, reason, message)


def answered_here() -> Refusal:
    """200: no refusal in truth, but an OPTIONS that may be forwarded no further, so that fig answers (RFC 9110 7.6.2).
    The connection is closed, for what of the request still comes is not read."""
    return Refusal(200, "max_forwards", "")


def unwritable() -> Refusal:
    """500: the rules make nothing of this request that can be sent.

    What they did make of it stays untold, for it names hosts and paths of the inside; `fig rules explain` tells it.
    """
    return Refusal(500, "rewrite", "the rules make nothing of this request that can be sent", close=False)

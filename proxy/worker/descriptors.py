"""File descriptors: as many as this machine gives, and a word when those are too few.

A connection of a client takes one, and the connection to the service that answers it another. Programs are given a soft
limit of 1,024 by habit (for select(), which nobody here uses); what counts is the hard one.
"""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(__name__)

MOST = 20_000
"""Clients of one worker where nobody says how many: their memory is some hundred megabytes when all of them ask."""
OWN = 256
"""Descriptors for everything but connections: sockets, links, rules and certificates being read, libraries."""


def enough_for(wanted: int | None) -> int:
    """Raise the soft limit to the hard one; gives how many of so many clients this process can then hold at once.

    Warns when somebody wanted more; None is whoever left it to fig.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = soft
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            limit = hard
        except (OSError, ValueError) as exc:  # some systems tell of more than they give
            log.warning("the limit of file descriptors stays as it is", soft=soft, hard=hard, problem=str(exc))
    if wanted is not None and room(limit) < wanted:
        log.warning(
            "too few file descriptors for --max-connections; raise the hard limit (ulimit -Hn, LimitNOFILE=)",
            limit=limit,
            needed=needed(wanted),
            max_connections=wanted,
            used_instead=room(limit),
        )
    return min(room(limit), wanted or MOST)


def room(limit: int) -> int:
    """Clients for whom `limit` descriptors are enough, each with a connection to a service."""
    return max((limit - OWN) // 2, 1)


def needed(clients: int) -> int:
    """Descriptors that are enough for so many clients."""
    return 2 * clients + OWN

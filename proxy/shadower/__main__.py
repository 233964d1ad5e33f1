"""``python -m proxy.shadower``: started by the supervisor, one per state folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from proxy import logs
from proxy.shadower.process import Settings, run
from shadow.sealing import KEY_VARIABLE

TURN = 0.0005
"""Seconds that a thread may compute while others wait: the one that compares has long bursts, and each commit of the
journal waits for it several times (docs/decisions/0057)."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m proxy.shadower", description="fig's journal of writes, deliveries, mirrors and comparisons."
    )
    parser.add_argument("--state", type=Path, required=True, help="the state folder")
    parser.add_argument("--drain", type=float, default=30.0, help="seconds for what is under way to end after SIGTERM")
    parser.add_argument(
        "--lifeline", type=int, default=None, help="descriptor whose end means that the supervisor is gone"
    )
    parser.add_argument("--ready", type=int, default=None, help="descriptor on which to say that it takes records")
    parser.add_argument("--journal-quota", type=int, default=None, help="bytes that the journal may hold")
    given = parser.parse_args()
    logs.configure("shadower")
    sys.setswitchinterval(TURN)
    key = os.environ.get(KEY_VARIABLE, "")
    return uvloop.run(run(Settings(given.state, given.drain, given.lifeline, given.ready, given.journal_quota, key)))


if __name__ == "__main__":
    sys.exit(main())

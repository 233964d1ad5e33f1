"""``python -m proxy.worker``: started by the supervisor with its listening sockets."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from proxy import logs
from proxy.trace_settings import TraceSettings
from proxy.worker.descriptors import enough_for
from proxy.worker.process import Settings, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proxy.worker", description="One worker of fig's data plane.")
    parser.add_argument("--number", type=int, default=0, help="this worker's number, from 0")
    parser.add_argument("--fd", type=int, default=None, help="descriptor of the listening socket to inherit")
    parser.add_argument("--tls-fd", type=int, default=None, help="descriptor of the one for TLS")
    parser.add_argument("--certificates", type=Path, default=None, help="the folder of the certificates for TLS")
    parser.add_argument("--state", type=Path, required=True, help="the state folder")
    parser.add_argument("--drain", type=float, default=30.0, help="seconds for exchanges to end after SIGTERM")
    parser.add_argument("--handover", type=float, default=600.0, help="seconds for exchanges to end after SIGUSR2")
    parser.add_argument("--max-connections", type=int, default=None, help="clients at the same time")
    parser.add_argument("--ready", type=int, default=None, help="descriptor on which to say that it serves")
    parser.add_argument(
        "--lifeline", type=int, default=None, help="descriptor whose end means that the supervisor is gone"
    )
    parser.add_argument(
        "--access-sample", type=float, default=0.01, help="part of good exchanges that is logged, 0 to 1"
    )
    given = parser.parse_args()
    logs.configure(f"worker-{given.number}")
    settings = Settings(
        number=given.number,
        fd=given.fd,
        tls_fd=given.tls_fd,
        certificates=given.certificates,
        state=given.state,
        drain=given.drain,
        handover=given.handover,
        max_connections=enough_for(given.max_connections),
        ready=given.ready,
        lifeline=given.lifeline,
        access_sample=round(given.access_sample * 1_000_000),
        traces=TraceSettings.parse(os.environ),
    )
    return uvloop.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())

"""The real supervisor with fake children: `python supervised.py`, configured by FIG_ variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from proxy import logs
from proxy.settings import Settings
from proxy.supervisor import Programs, StartError, serve

CHILD = str(Path(__file__).with_name("child.py"))

if __name__ == "__main__":
    logs.configure("supervisor")
    programs = Programs(control=(CHILD, "control"), shadower=(CHILD, "shadower"), worker=(CHILD, "worker"))
    try:
        sys.exit(serve(Settings.parse(os.environ), programs))
    except StartError as exc:
        print(f"fig: {exc}", file=sys.stderr)
        sys.exit(2)

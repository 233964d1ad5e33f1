"""The real supervisor with fake children: `python supervised.py`, configured by FIG_ variables.

FAKE_FAILING, as in child.py: where it names ``supervisor``, this program fails before it does anything.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from proxy.supervisor import Programs, main

CHILD = str(Path(__file__).with_name("child.py"))

if __name__ == "__main__":
    failing = Path(os.environ.get("FAKE_FAILING", "/none"))
    if failing.exists() and "supervisor" in failing.read_text():
        sys.exit(3)
    sys.exit(main(Programs(control=(CHILD, "control"), shadower=(CHILD, "shadower"), worker=(CHILD, "worker"))))

"""What would cost every start of a process or a command, and serves few of them, is not imported at once."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys
from proxy import logs
assert "structlog" in sys.modules and "rich" not in sys.modules, "logs"
import proxy.shadower.process
assert "numpy" not in sys.modules, "the shadower"
import rich.console  # which stays to be had
from proxy.cli import commands
slow = {"scipy", "sqlalchemy"} & set(sys.modules)
assert not slow, slow
"""


def test_logs_come_without_rich_the_shadower_without_numpy_and_commands_without_scipy() -> None:
    found = subprocess.run([sys.executable, "-P", "-c", LOOK], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr

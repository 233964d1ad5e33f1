"""Debian programs that some tests use as a user's would be: found, or the test skips with the program's name.

Where FIG_REQUIRE_PROGRAMS is set (CI installs them), a missing program fails the test instead.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def need(program: str, package: str, folders: str = "") -> str:
    """The path of `program`, which may also be in `folders` (a pattern below /usr); skips the test where it is missing,
    or fails it where it must not be."""
    further = sorted(map(str, Path("/usr").glob(folders)), reverse=True) if folders else []
    places = ["/usr/sbin", "/usr/local/sbin", "/sbin", *further]
    found = shutil.which(program) or shutil.which(program, path=":".join(places))
    if found:
        return found
    message = f"needs {program} (Debian package {package})"
    if os.environ.get("FIG_REQUIRE_PROGRAMS"):
        pytest.fail(f"{message}, and FIG_REQUIRE_PROGRAMS is set")
    pytest.skip(message)

"""Debian programs that some tests use as a user's would be: found, or the test skips with the program's name.

Where FIG_REQUIRE_PROGRAMS is set (CI installs them), a missing program fails the test instead.
"""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str, package: str) -> str:
    """The path of `program`; skips the test where it is missing, or fails it where it must not be."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found:
        return found
    message = f"needs {program} (Debian package {package})"
    if os.environ.get("FIG_REQUIRE_PROGRAMS"):
        pytest.fail(f"{message}, and FIG_REQUIRE_PROGRAMS is set")
    pytest.skip(message)

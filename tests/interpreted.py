"""What can only be tested on the interpreted hot path; everything else is tested on the compiled one too."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.dataplane import exchange

IS_COMPILED = Path(exchange.__file__).suffix == ".so"

replaces_a_method = pytest.mark.skipif(
    IS_COMPILED, reason="puts a function in place of a method, which compiled callers do not notice"
)

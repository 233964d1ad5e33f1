"""What the C library does with memory that was freed: a worker has it kept, within bounds."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from proxy.memory import KEPT

PAGE = 4096
ROUNDS = 500
PIECES = f"""
import resource
from proxy.memory import keep_freed
def passed():
    one = bytes(250_000)  # what one read of a body brings
    return len(b"".join((one[:100_000], one[100_000:]))), len(b"%x\\r\\n%b\\r\\n" % (len(one), one))
keep_freed()
passed()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    passed()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs a C library with mallopt")
def test_pieces_of_a_body_come_from_memory_that_is_already_there() -> None:
    ran = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, timeout=30, check=True)

    assert int(ran.stdout) < ROUNDS  # faulted in anew it would be a page each 4 KB: some hundred a round


LARGE_LIST = f"""
from pathlib import Path
from proxy.memory import keep_freed
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * {PAGE}
keep_freed()
before = resident()
many = [bytes(100_000) for _ in range(1000)]
del many
print(resident() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs a C library with mallopt")
def test_no_more_is_kept_than_a_bound() -> None:
    ran = subprocess.run([sys.executable, "-c", LARGE_LIST], capture_output=True, text=True, timeout=30, check=True)

    assert int(ran.stdout) < KEPT + 4 * 1024 * 1024  # of 100 MB

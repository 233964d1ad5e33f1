"""Opens access logs: files, pipes and standard input, also packed by gzip."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, cast

_GZIP = b"\x1f\x8b"
"""How a gzip stream begins (RFC 1952 section 2.3.1)."""


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """The log's bytes, unpacked; ``-`` is standard input. Opened and read once, for a pipe gives its bytes once.

    Raises OSError, EOFError and zlib.error, also while it is read.
    """
    if name == "-":
        given = BufferedReader(cast(RawIOBase, sys.stdin.buffer))
        try:
            yield _unpacked(given)
        finally:
            given.detach()
    else:
        with Path(name).open("rb") as file:
            yield _unpacked(file)


def _unpacked(file: BufferedReader[Any]) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if file.peek(2)[:2] == _GZIP else file

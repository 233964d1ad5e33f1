"""Finds a request in fig's access log: JSON lines, also gzipped, also behind a container's prefix, of any size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from proxy.cli.rules.log_files import opened
from rules.explaining.logged import Line

CHUNK = 1024 * 1024
"""Bytes read at once."""
LONGEST = 64 * 1024
"""Bytes of one line; longer ones are none of fig's and passed over."""


def find(path: Path, request_id: str) -> list[Line]:
    """Every exchange with that id, in the order of the log (clients may choose ids, so there may be several).

    ``-`` is standard input. Raises OSError, and EOFError and zlib.error (a gzip file that is cut off or broken).
    """
    needle = json.dumps(request_id).encode()
    found = []
    with opened(str(path)) as file:
        for raw in _lines_with(file, needle):
            line = _read(raw)
            if line is not None and line.request_id == request_id:
                found.append(line)
    return found


def _lines_with(file: IO[bytes], needle: bytes) -> Iterator[bytes]:
    """The lines that hold `needle`. Memory is bounded by CHUNK and LONGEST, whatever the file holds."""
    rest = b""
    too_long = False
    while chunk := file.read(CHUNK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            if too_long:
                whole = whole.partition(b"\n")[2]
                too_long = False
            if needle in whole:
                yield from (line for line in whole.split(b"\n") if needle in line and len(line) <= LONGEST)
        if len(rest) > LONGEST:
            rest, too_long = b"", True
    if rest and not too_long and needle in rest:
        yield rest


def _read(raw: bytes) -> Line | None:
    """None for what mentions the id, but tells of no exchange."""
    try:
        return Line.model_validate(json.loads(raw[max(raw.find(b"{"), 0) :]))
    except (ValueError, RecursionError, ValidationError):
        return None

"""Reads access logs from files, packed ones and standard input, and tells what could not be read of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO

from proxy.cli.rules.log_files import opened
from rules.changes.replay import Replay
from rules.changes.traffic_log import LONGEST, LogFormat, MalformedError, PassedOver, detect, reader_of

_FIRST = 50
"""Lines that are read before the format is told."""
_SHOWN = 3
_TOO_LONG = "\0"
"""In place of a line that is too long to be held: it is malformed in every format."""


class UnreadableLogError(Exception):
    """A log that cannot be read at all; says which and why."""


@dataclass
class Reading:
    """What became of one log's lines."""

    name: str
    format: LogFormat
    lines: int = 0
    passed_over: int = 0
    """Lines that tell of no request, as fig's log has some."""
    malformed: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    """Line number, from 1, and what is wrong, of the first malformed lines."""


def read_log(name: str, format_: LogFormat | None, replay: Replay) -> Reading:
    """Hand every request of the log to `replay`. ``-`` is standard input. Raises UnreadableLogError."""
    try:
        with opened(name) as stream:
            lines = _lines(stream)
            first = list(islice(lines, _FIRST))
            found = format_ or detect(line for line in first if line is not None)
            if found is None and first:
                known = ", ".join(each.value for each in LogFormat)
                raise UnreadableLogError(
                    f"{name}: its first lines are of no known format ({known}); name it with --log-format"
                )
            reading = Reading(name, found or LogFormat.COMBINED)
            _read(chain(first, lines), reading, replay)
            return reading
    except (OSError, EOFError, zlib.error) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UnreadableLogError(f"{name}: cannot be read: {why}") from exc


def _read(lines: Iterator[str | None], reading: Reading, replay: Replay) -> None:
    read, take = reader_of(reading.format), replay.take
    number = 0
    for number, line in enumerate(lines, 1):
        if line == "":
            reading.passed_over += 1
            continue
        try:
            take(read(line if line is not None else _TOO_LONG))
        except PassedOver:
            reading.passed_over += 1
        except MalformedError as exc:
            reading.malformed += 1
            if len(reading.examples) < _SHOWN:
                reading.examples.append((number, str(exc)))
    reading.lines = number


def _lines(stream: IO[bytes]) -> Iterator[str | None]:
    """Lines without their end, bytes as latin-1 text; None for one that is too long to be held."""
    while line := stream.readline(LONGEST + 1):
        if len(line) > LONGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST)
            yield None
        else:
            yield line.rstrip(b"\r\n").decode("latin-1")

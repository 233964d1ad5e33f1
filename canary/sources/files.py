"""CSV files and files of JSON lines: a number, or a sum of many, on each line, for one side at one time.

A file is read from its beginning at the first question, and from where it ended at the next ones, so that it may grow;
a shorter one, or another one in its place, is read anew. What stands behind the last end of line is not finished and
waits. A line that cannot be read is an error with its place, file:line. So is one that comes after its step was taken,
and stays one until the file or the source is another: what comes late is often what went badly (a timeout is written
down when it is over), and the numbers without it would be better than the truth.
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from canary.source_spec import Source as SourceSpec
from canary.source_spec import SourceKind
from canary.sources import rows
from canary.sources.source import Question, SourceError
from canary.steps import Answer

LARGEST = 256 * 1024 * 1024
"""Bytes that one question may read."""
LONGEST_LINE = 256 * 1024
MOST_PENDING = 100_000
"""Steps for which there are numbers before they are asked for."""


@dataclass
class _Cursor:
    """How far the file was read for one metric of one route, and what was found that was not asked for yet."""

    identity: tuple[int, int]
    """Device and inode."""
    began: int
    """The last step that nobody asks for: what is of it, or before it, belongs to no question."""
    asked: int
    """The last step that was answered."""
    late: int = 0
    """The first line that came after its step was answered; 0 without one."""
    offset: int = 0
    line: int = 0
    header: list[str] = field(default_factory=list)
    pending: dict[int, list[list[float]]] = field(default_factory=dict)
    """By step: n, total, squares of either side."""


class File:
    """One file."""

    def __init__(self, spec: SourceSpec) -> None:
        assert spec.path is not None
        self._path = Path(spec.path)
        self._is_csv = spec.kind is SourceKind.CSV
        self._cursors: dict[tuple[str, str], _Cursor] = {}
        self._lock = asyncio.Lock()

    async def ask(self, question: Question, now: float) -> Answer:
        async with self._lock:
            return await asyncio.to_thread(self._answer, question, now)

    async def close(self) -> None:
        """Nothing is open between questions."""

    def _answer(self, question: Question, now: float) -> Answer:
        try:
            if not self._path.is_file():  # a pipe would keep whoever opens it
                raise SourceError(f"{self._path}: {'is no file' if self._path.exists() else 'No such file'}")
            with self._path.open("rb") as file:
                cursor = self._cursor(file, question)
                self._read(file, cursor, question, now)
        except OSError as exc:
            raise SourceError(f"{self._path}: {exc.strerror or exc}") from exc
        if cursor.late:
            raise SourceError(
                f"{self._path}:{cursor.late}: came after its step was taken, so it does not count; make 'delay' longer"
            )
        stretch = question.stretch
        answer = Answer.empty(stretch)
        for number in sorted(cursor.pending):
            if stretch.first <= number <= stretch.last:
                for side, sums in enumerate(cursor.pending.pop(number)):
                    answer.add(side, number - stretch.first, *sums)
        cursor.asked = stretch.last
        return answer

    def _cursor(self, file: BinaryIO, question: Question) -> _Cursor:
        """Where the question goes on; from the beginning where it is the first, or the file is another."""
        found = os.fstat(file.fileno())
        identity, key = (found.st_dev, found.st_ino), (question.route, question.metric.name)
        cursor = self._cursors.get(key)
        goes_on = cursor is not None and cursor.identity == identity and found.st_size >= cursor.offset
        if cursor is None or not goes_on or question.stretch.first != cursor.asked + 1:
            before = question.stretch.first - 1
            cursor = self._cursors[key] = _Cursor(identity, before, before)
        file.seek(cursor.offset)
        return cursor

    def _read(self, file: BinaryIO, cursor: _Cursor, question: Question, now: float) -> None:
        """Everything new. Raises SourceError."""
        most = cursor.offset + LARGEST
        while line := file.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                if len(line) >= LONGEST_LINE:
                    raise SourceError(f"{self._path}:{cursor.line + 1}: longer than {LONGEST_LINE // 1024} KB")
                break
            if cursor.offset > most:
                raise SourceError(
                    f"{self._path}: more than {LARGEST // 1024**2} MB; write a new file from time to time"
                )
            number, cursor.line, cursor.offset = cursor.line + 1, cursor.line + 1, cursor.offset + len(line)
            try:
                found = self._sum(line, cursor, question)
                if found is None:
                    continue
                step = math.floor(found.time / question.stretch.length) + 1
                if cursor.began < step <= cursor.asked:
                    cursor.late = cursor.late or number
                elif step > cursor.asked:
                    self._put(cursor, step, found, now + question.stretch.length)
            except (rows.RowError, msgspec.MsgspecError, UnicodeDecodeError, csv.Error, RecursionError) as exc:
                self._cursors.pop((question.route, question.metric.name), None)
                why = "is nested too deeply" if isinstance(exc, RecursionError) else exc
                raise SourceError(f"{self._path}:{number}: {why}") from exc

    def _put(self, cursor: _Cursor, step: int, found: rows.Sum, latest: float) -> None:
        if found.time > latest:
            raise rows.RowError(f"is dated {found.time - latest:.0f} s ahead of the clock here")
        sums = cursor.pending.setdefault(step, [[0.0] * 3, [0.0] * 3])[found.side]
        for place, value in enumerate(found[2:]):
            sums[place] += value
        if len(cursor.pending) > MOST_PENDING:
            raise rows.RowError(f"is of one of more than {MOST_PENDING:,} steps that nobody asked for yet")

    def _sum(self, line: bytes, cursor: _Cursor, question: Question) -> rows.Sum | None:
        if self._is_csv:
            cells = next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])
            if not cursor.header:
                if (name := rows.twice(cells)) is not None:
                    raise rows.RowError(f"two columns are called '{name:.40}'")
                cursor.header = cells
                return None
            if cells and len(cells) != len(cursor.header):
                raise rows.RowError(f"has {len(cells)} cells where the first line names {len(cursor.header)} columns")
            row: Any = dict(zip(cursor.header, cells, strict=True)) if cells else {}
        else:
            row = msgspec.json.decode(line) if line.strip() else {}
            if not isinstance(row, dict):
                raise rows.RowError("is no object ({...})")
            if line.count(b'"') != 2 * (len(row) + [*map(type, row.values())].count(str)):
                json.loads(line, object_pairs_hook=_once, parse_int=float)
        wanted = question.metric.where
        if not row or any(_text(row.get(name)) != value for name, value in wanted.items()):
            return None
        return rows.read(row, question)


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raises RowError for a key that stands there twice, of which decoders take the last. Takes 7 us a line: only for
    those whose quotes are not those of keys and texts alone."""
    if (key := rows.twice(key for key, _ in pairs)) is not None:
        raise rows.RowError(f"two keys are called '{key:.40}'")


def _text(cell: Any) -> str:
    """A cell as its file has it."""
    return cell if isinstance(cell, str) else msgspec.json.encode(cell).decode()

"""One row of a table, of a database or a file, as a sum of one side at one time.

A row has a `time` (seconds since the epoch, ISO 8601, or a database's own; without a zone it is UTC), a `side` (as the
metric's `sides` call it; rows of others are passed over: a side without rows is a fault anyway), and either `value`
or `n` with `sum` and perhaps `sum_squares`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from canary.query_spec import Reduction
from canary.sources.source import Question

_MILLISECONDS = 1e11
"""Seconds since the epoch are fewer until the year 5138."""
LARGEST = 1e100
"""No measurement is larger, and squares of what is would be no numbers. For sources without rows too."""
TOO_LARGE = f"which is beyond {LARGEST:g} and no measurement"


class RowError(ValueError):
    """A row that cannot be read; the message says which column and why."""


class Sum(NamedTuple):
    time: float
    """Seconds since the epoch."""
    side: int
    n: float
    total: float
    squares: float


def read(row: Mapping[str, Any], question: Question, of: int | None = None) -> Sum | None:
    """The row's sum; None where it is of another side, or says that there is no number. Raises RowError.

    `of`: the side that was asked for, where rows need not say it.
    """
    columns = question.metric.columns
    side = (
        of
        if of is not None and columns.get("side", "side") not in row
        else _side(_cell(row, columns, "side"), question)
    )
    if side is None:
        return None
    time = _time(_cell(row, columns, "time"), columns.get("time", "time"))
    if columns.get("value", "value") in row:
        value = _number(_cell(row, columns, "value"), columns.get("value", "value"))
        return None if value is None else Sum(time, side, 1.0, value, value * value)
    n = _number(_cell(row, columns, "n"), columns.get("n", "n"))
    total = _number(_cell(row, columns, "sum"), columns.get("sum", "sum"))
    if n is None or n == 0 or total is None:
        return None
    if n < 0:
        raise RowError(f"column '{columns.get('n', 'n')}' is {n:g}, and nothing is counted less than never")
    if question.metric.measure is Reduction.RATE:
        return Sum(time, side, n, total, total)
    squares = None
    if columns.get("sum_squares", "sum_squares") in row:
        squares = _number(_cell(row, columns, "sum_squares"), columns.get("sum_squares", "sum_squares"))
    return Sum(time, side, n, total, math.nan if squares is None else squares)


def twice(names: Iterable[str]) -> str | None:
    """A name that stands there twice, which of two columns would count is anybody's guess; nameless ones do not."""
    seen = set[str]()
    for name in names:
        if name and name in seen:
            return name
        seen.add(name)
    return None


def _cell(row: Mapping[str, Any], columns: Mapping[str, str], name: str) -> Any:
    column = columns.get(name, name)
    if column not in row:
        known = ", ".join(f"'{each:.40}'" for each in list(row)[:12])
        needs = "'value', or 'n' and 'sum'" if name in ("n", "sum") else f"'{name}'"
        raise RowError(f"has no column '{column}' ({known}); needed is {needs}")
    return row[column]


def _side(cell: Any, question: Question) -> int | None:
    text = str(cell)
    return 0 if text == question.side(0) else 1 if text == question.side(1) else None


def _number(cell: Any, column: str) -> float | None:
    """None for what stands for no number: null, or an empty cell."""
    if cell is None or cell == "":
        return None
    found = math.nan
    if isinstance(cell, (int, float, Decimal, str)) and not isinstance(cell, bool):
        found = _float(cell)
    if not math.isfinite(found):
        raise RowError(f"column '{column}' is '{cell!s:.40}', which is not a finite number")
    if abs(found) > LARGEST:
        raise RowError(f"column '{column}' is {cell!s:.40}, {TOO_LARGE}")
    return found


def _float(cell: float | Decimal | str) -> float:
    """Infinity for what no float can hold, not-a-number for what is none."""
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _time(cell: Any, column: str) -> float:
    found = math.nan
    if isinstance(cell, datetime):
        found = (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    elif isinstance(cell, date):
        found = datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp()
    elif isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool):
        found = _float(cell)
    elif isinstance(cell, str):
        found = _time_of_text(cell.strip())
    if _MILLISECONDS < abs(found) < math.inf:
        raise RowError(f"column '{column}' is {cell!s:.40}; that looks like milliseconds, write seconds since 1970")
    if not math.isfinite(found):
        raise RowError(f"column '{column}' is '{cell!s:.40}', which is no time; write 2026-01-31T12:00:00Z")
    return found


def _time_of_text(text: str) -> float:
    if not math.isnan(seconds := _float(text)):
        return seconds
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

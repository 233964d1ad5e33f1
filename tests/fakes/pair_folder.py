"""A state folder with pairs, for reports to read."""

from __future__ import annotations

import itertools
from pathlib import Path

from shadow.comparing.compare import judge
from shadow.pair import Answer
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.report.building import Report, build_report
from shadow.spec import Comparison
from tests.fakes.pairs import NOON, pair


class Folder:
    """A state folder with pairs, compared as `comparison` says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "pairs.db"
        self.store = PairStore(self.file, b"k" * 32)
        self.comparison = Comparison()
        self._numbers = itertools.count()

    def add(
        self, legacy: Answer, candidate: Answer, count: int = 1, route: str = "items", target: str = "/", **rest: object
    ) -> None:
        numbers = [next(self._numbers) for _ in range(count)]
        made = [pair(legacy, candidate, number, route=route, target=target, **rest) for number in numbers]
        self.store.add_many([judge(each, self.comparison) for each in made])

    def report(self, **options: object) -> Report:
        given: dict[str, object] = {"comparisons": {"items": self.comparison}} | options
        with PairReader(self.file) as reader:
            return build_report(reader, {}, {"shop": "canary", "items": "shadow"}, NOON, **given)  # type: ignore[arg-type]

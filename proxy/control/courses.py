"""How the attempts of routes in canary go, for `fig canary report`: what is judged and counted, noted on its way.

Stands between the pilot and the evidence, and between workers and the evidence, and changes neither. A course stays
when its attempt is over, until the route begins another one or leaves the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import structlog

from canary.course import Course
from canary.verdict import Judgement
from proxy.control.attempts import Attempts
from proxy.control.book import Book
from proxy.rows import ROW
from proxy.wire import EventRows, Rows
from rules.stages import Stage

log = structlog.get_logger(__name__)


class Courses:
    """Implements canary.pilot.Gates."""

    def __init__(self, attempts: Attempts, kept: Mapping[str, bytes]) -> None:
        """`kept`: what `to_keep` gave the last life of control."""
        self._attempts = attempts
        self._courses: dict[str, Course] = {}
        self._shares: dict[str, int] = {}
        """Routes in canary -> the candidate's share, in millionths."""
        self._changed: set[str] = set()
        for route, data in kept.items():
            try:
                self._courses[route] = Course.from_bytes(data)
            except ValueError as exc:
                log.warning("the course of an attempt is lost", route=route, problem=str(exc))

    def follow(self, book: Book) -> None:
        """To be called with every accepted book; the evidence follows it first."""
        self._attempts.follow(book)
        rulebook = book.judged_by
        if rulebook is None:
            return
        standing = {name: book.standings[name].rollout for name in rulebook.rollouts if name in book.standings}
        self._shares = {name: one.share for name, one in standing.items() if one.stage is Stage.CANARY}
        self._changed |= self._courses.keys() - standing.keys()
        self._courses = {name: one for name, one in self._courses.items() if name in standing}
        for name in self._shares:
            began = standing[name].began
            since = standing[name].since if began is None else began
            if name not in self._courses or self._courses[name].since != since:
                self._courses[name] = Course(since)

    def judge(self, route: str, now: float) -> Judgement:
        """The gate's verdict at `now`, seconds since the epoch."""
        judgement = self._attempts.judge(route, now)
        if route in self._shares:
            self._courses[route].note(judgement, self._shares[route])
            self._changed.add(route)
        return judgement

    def take_rows(self, rows: Rows | EventRows) -> None:
        """Rows of a worker."""
        self._attempts.take_rows(rows)
        if isinstance(rows, Rows) and rows.route in self._shares and len(rows.rows) % ROW.itemsize == 0:
            columns = np.frombuffer(rows.rows, ROW)
            self._courses[rows.route].take(columns["seconds"], columns["side"])
            self._changed.add(rows.route)

    def find(self, route: str) -> Course | None:
        """None of a route that was in no canary yet."""
        return self._courses.get(route)

    def to_keep(self) -> dict[str, bytes | None]:
        """What changed since the last time, by route; None of one that is to be forgotten."""
        changed: dict[str, bytes | None] = {}
        for name in self._changed:
            course = self._courses.get(name)
            changed[name] = course.to_bytes() if course is not None else None
        self._changed = set()
        return changed

    def not_kept(self, routes: Iterable[str]) -> None:
        """What `to_keep` gave of these did not reach the disk: it is given again."""
        self._changed |= set(routes)

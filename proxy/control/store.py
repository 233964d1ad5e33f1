"""What must survive control: standings, history, evidence, and shelves of what others make (shelves.py).

Nothing but this file, its tables (schema.py) and its shelves knows SQL. Calls block for a disk write; control makes
them in a thread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import sqlalchemy as sa

from canary.rollout import Rollout
from proxy.control.records import Change, Entry, Kept, Standing, Stored
from proxy.control.schema import (
    BUDGETS,
    COURSES,
    CURSORS,
    EVIDENCE,
    GENERATION,
    HISTORY,
    RULES,
    STANDINGS,
    WATCHES,
    prepare,
)
from proxy.control.shelves import Shelf, SqlShelf, packed, unpacked
from rules.effective import Position
from rules.stages import Stage

DATABASE = "state.db"
"""Its name in the state folder."""
AT_ONCE = 1000
"""Changes in one statement."""
StoreError = sa.exc.SQLAlchemyError
"""What a store raises when the database fails."""


def short(exc: StoreError) -> str:
    """What the database says, without the statement and the advice that SQLAlchemy shows below it."""
    return str(exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc).partition("\n")[0]


class Store(Protocol):
    """What control needs of a store. Every call is one transaction, durable when it returns."""

    @property
    def courses(self) -> Shelf:
        """How attempts went, by route (proxy.control.courses)."""

    @property
    def watches(self) -> Shelf:
        """What canaries showed and watches have seen since, by route (proxy.control.watches)."""

    @property
    def budgets(self) -> Shelf:
        """What objectives are held against, by name (proxy.control.budgets)."""

    def load(self) -> Stored: ...

    def record(self, generation: int, changes: Sequence[Change]) -> list[int]:
        """Change standings and append to the history, both or neither; gives the numbers of the lines."""

    def note(self, entry: Entry) -> int:
        """Append to the history alone; gives the number of the line."""

    def history(self, route: str | None = None, limit: int = 100) -> list[Entry]:
        """The latest lines, newest first."""

    def evidence(self) -> dict[str, Kept]:
        """By route."""

    def keep(self, changed: Mapping[str, Kept | None]) -> None:
        """Replace the evidence of these routes, and forget that of those that are None."""

    def rules(self) -> bytes:
        """What was kept of the last accepted rules; empty where nothing was."""

    def keep_rules(self, accepted: bytes) -> None: ...

    def lines_after(self, number: int, limit: int) -> list[Entry]:
        """The first `limit` lines of the history after that one, the oldest first."""

    def times_of(self, actor: str, action: str, after: float) -> list[float]:
        """When `actor` did that, of the lines that are later than `after`, in seconds since the epoch."""

    def last_line(self) -> int:
        """The number of the history's latest line; 0 for none."""

    def cursors(self) -> dict[str, int]:
        """Receiver -> the line that it was told last."""

    def keep_cursor(self, name: str, number: int) -> None: ...

    def forget_cursors(self, kept: Sequence[str]) -> None:
        """All but these."""

    def close(self) -> None: ...


class SqlStore:
    """Store in a database that SQLAlchemy speaks to; SQLite files get WAL and full durability."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, hide_parameters=True)  # errors go to logs and screens
        prepare(self._engine)
        self.courses: Shelf = SqlShelf(self._engine, COURSES)
        self.watches: Shelf = SqlShelf(self._engine, WATCHES)
        self.budgets: Shelf = SqlShelf(self._engine, BUDGETS)

    @classmethod
    def at(cls, path: Path) -> Self:
        """The SQLite file `path`, made if need be, for this user alone. Raises StoreError, OSError."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)  # an earlier fig left it to the umask; SQLite gives its other files the same
        return cls(f"sqlite:///{path.absolute()}")

    def load(self) -> Stored:
        with self._engine.connect() as connection:
            generation = connection.execute(sa.select(GENERATION.c.number)).scalar_one()
            rows = connection.execute(sa.select(STANDINGS)).all()
        return Stored(generation, {row.route: Standing(row.route, _rollout(row), row.declared) for row in rows})

    def record(self, generation: int, changes: Sequence[Change]) -> list[int]:
        numbers: list[int] = []
        with self._engine.begin() as connection:
            connection.execute(GENERATION.update().values(number=generation))
            for some in _batches(changes):
                routes = [{"gone": change.entry.route} for change in some]
                connection.execute(STANDINGS.delete().where(STANDINGS.c.route == sa.bindparam("gone")), routes)
                latest = {change.entry.route: change.standing for change in some}
                rows = [_row(standing) for standing in latest.values() if standing is not None]
                if rows:
                    connection.execute(STANDINGS.insert(), rows)
                lines = HISTORY.insert().returning(HISTORY.c.number, sort_by_parameter_order=True)
                numbers += connection.execute(lines, [_line(change.entry) for change in some]).scalars()
        return numbers

    def note(self, entry: Entry) -> int:
        with self._engine.begin() as connection:
            line = HISTORY.insert().values(**_line(entry)).returning(HISTORY.c.number)
            return int(connection.execute(line).scalar_one())

    def history(self, route: str | None = None, limit: int = 100) -> list[Entry]:
        query = sa.select(HISTORY).order_by(HISTORY.c.number.desc()).limit(limit)
        if route is not None:
            query = query.where(HISTORY.c.route == route)
        return self._entries(query)

    def _entries(self, query: sa.Select[Any]) -> list[Entry]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Entry(
                at=row.at,
                route=row.route,
                actor=row.actor,
                action=row.action,
                before=_position(row.before),
                after=_position(row.after),
                why=row.why,
                generation=row.generation,
                evidence=row.evidence,
                number=row.number,
            )
            for row in rows
        ]

    def lines_after(self, number: int, limit: int) -> list[Entry]:
        return self._entries(
            sa.select(HISTORY).where(HISTORY.c.number > number).order_by(HISTORY.c.number).limit(limit)
        )

    def times_of(self, actor: str, action: str, after: float) -> list[float]:
        same = (HISTORY.c.actor == actor, HISTORY.c.action == action, HISTORY.c.at > after)
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(HISTORY.c.at).where(*same).order_by(HISTORY.c.at)).scalars())

    def last_line(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.max(HISTORY.c.number))).scalar() or 0)

    def cursors(self) -> dict[str, int]:
        with self._engine.connect() as connection:
            return {row.receiver: row.number for row in connection.execute(sa.select(CURSORS))}

    def keep_cursor(self, name: str, number: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(CURSORS.delete().where(CURSORS.c.receiver == name))
            connection.execute(CURSORS.insert().values(receiver=name, number=number))

    def forget_cursors(self, kept: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            connection.execute(CURSORS.delete().where(CURSORS.c.receiver.not_in(kept)))

    def evidence(self) -> dict[str, Kept]:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(EVIDENCE)).all()
        return {
            row.route: Kept(
                row.route, msgspec.msgpack.decode(row.reference, type=dict[int, int]), unpacked(row.snapshot)
            )
            for row in rows
        }

    def keep(self, changed: Mapping[str, Kept | None]) -> None:
        with self._engine.begin() as connection:
            for route, one in changed.items():
                connection.execute(EVIDENCE.delete().where(EVIDENCE.c.route == route))
                if one is None:
                    continue
                reference = msgspec.msgpack.encode(dict(one.reference))
                columns = {"route": route, "reference": reference, "snapshot": packed(one.snapshot)}
                connection.execute(EVIDENCE.insert().values(**columns))

    def rules(self) -> bytes:
        with self._engine.connect() as connection:
            return unpacked(connection.execute(sa.select(RULES.c.accepted)).scalar() or b"")

    def keep_rules(self, accepted: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(RULES.delete())
            connection.execute(RULES.insert().values(accepted=packed(accepted)))

    def close(self) -> None:
        self._engine.dispose()


def _batches(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """In order; a first load of 100,000 routes is as many changes."""
    for start in range(0, len(changes), AT_ONCE):
        yield changes[start : start + AT_ONCE]


def _row(standing: Standing) -> dict[str, Any]:
    rollout = standing.rollout
    return {
        "route": standing.route,
        "stage": rollout.stage.value,
        "share": rollout.share,
        "frozen": rollout.frozen,
        "declared": standing.declared,
        "since": rollout.since,
        "began": rollout.began,
        "ended": rollout.ended,
        "subject": rollout.subject,
        "pinned": rollout.pinned,
        "approved": rollout.approved,
        "watched": rollout.watched,
        "resumed": rollout.resumed,
        "proven": rollout.proven,
    }


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "route": entry.route,
        "actor": entry.actor,
        "action": entry.action,
        "before": _plain(entry.before),
        "after": _plain(entry.after),
        "why": entry.why,
        "generation": entry.generation,
        "evidence": json.loads(json.dumps(dict(entry.evidence), default=str)) if entry.evidence else {},
    }


def _rollout(row: Any) -> Rollout:
    return Rollout(
        stage=Stage(row.stage),
        share=row.share,
        since=row.since,
        frozen=row.frozen,
        began=row.began,
        ended=row.ended,
        subject=row.subject,
        pinned=row.pinned,
        approved=row.approved,
        watched=row.watched,
        resumed=row.resumed,
        proven=row.proven,
    )


def _plain(position: Position | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {"stage": position.stage.value, "share": position.share, "frozen": position.frozen}


def _position(plain: dict[str, Any] | None) -> Position | None:
    if plain is None:
        return None
    return Position(Stage(plain["stage"]), plain["share"], plain["frozen"])

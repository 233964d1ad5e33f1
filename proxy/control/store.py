"""What must survive control: standings, history, evidence. SQLAlchemy Core, so another database is a URL.

Nothing outside this file knows SQL. Calls block for a disk write; control makes them in a thread.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import sqlalchemy as sa

from canary.rollout import Rollout
from proxy.control.records import Change, Entry, Kept, Standing, Stored
from rules.effective import Position
from rules.stages import Stage

_META = sa.MetaData()
_GENERATION = sa.Table("generation", _META, sa.Column("number", sa.Integer, nullable=False))
_STANDINGS = sa.Table(
    "standings",
    _META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("share", sa.Integer, nullable=False),
    sa.Column("frozen", sa.Boolean, nullable=False),
    sa.Column("declared", sa.String, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("began", sa.Float),
    sa.Column("ended", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("approved", sa.Integer, nullable=False, server_default="0"),
    sa.Column("watched", sa.Boolean, nullable=False, server_default=sa.false()),
)
_HISTORY = sa.Table(
    "history",
    _META,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("route", sa.String, nullable=False, index=True),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("before", sa.JSON),
    sa.Column("after", sa.JSON),
    sa.Column("why", sa.String, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
_EVIDENCE = sa.Table(
    "evidence",
    _META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("reference", sa.LargeBinary, nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
)
_COURSES = sa.Table(
    "courses",
    _META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("course", sa.LargeBinary, nullable=False),
)
_CURSORS = sa.Table(
    "cursors",
    _META,
    sa.Column("receiver", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
_BUDGETS = sa.Table(
    "budgets",
    _META,
    sa.Column("slo", sa.String, primary_key=True),
    sa.Column("ledger", sa.LargeBinary, nullable=False),
)
_WATCHES = sa.Table(
    "watches",
    _META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("watch", sa.LargeBinary, nullable=False),
)
_RULES = sa.Table("rules", _META, sa.Column("accepted", sa.LargeBinary, nullable=False))
"""One row, once rules were accepted."""
_APPEND_ONLY = (
    "create trigger if not exists history_stays before update on history "
    "begin select raise(abort, 'the history is append-only'); end",
    "create trigger if not exists history_keeps before delete on history "
    "begin select raise(abort, 'the history is append-only'); end",
)


DATABASE = "state.db"
"""Its name in the state folder."""
AT_ONCE = 1000
"""Changes in one statement."""
StoreError = sa.exc.SQLAlchemyError
"""What a store raises when the database fails."""


class Store(Protocol):
    """What control needs of a store. Every call is one transaction, durable when it returns."""

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

    def watches(self) -> dict[str, bytes]:
        """What canaries showed and watches have seen since, as canary.watch encodes it, by route."""

    def keep_watches(self, changed: Mapping[str, bytes | None]) -> None:
        """Replace these, and forget those that are None."""

    def courses(self) -> dict[str, bytes]:
        """How attempts went, by route, as proxy.control.courses keeps it."""

    def keep_courses(self, changed: Mapping[str, bytes | None]) -> None:
        """Replace these, and forget those that are None."""

    def lines_after(self, number: int, limit: int) -> list[Entry]:
        """The first `limit` lines of the history after that one, the oldest first."""

    def last_line(self) -> int:
        """The number of the history's latest line; 0 for none."""

    def cursors(self) -> dict[str, int]:
        """Receiver -> the line that it was told last."""

    def keep_cursor(self, name: str, number: int) -> None: ...

    def forget_cursors(self, kept: Sequence[str]) -> None:
        """All but these."""

    def budgets(self) -> dict[str, bytes]:
        """What objectives are held against, by name, as canary.slo.ledger keeps it."""

    def keep_budgets(self, changed: Mapping[str, bytes | None]) -> None:
        """Replace these, and forget those that are None."""

    def close(self) -> None: ...


class SqlStore:
    """Store in a database that SQLAlchemy speaks to; SQLite files get WAL and full durability."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        _META.create_all(self._engine)
        _add_missing_columns(self._engine)
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                for statement in _APPEND_ONLY:
                    connection.execute(sa.text(statement))
            if connection.execute(sa.select(_GENERATION.c.number)).first() is None:
                connection.execute(_GENERATION.insert().values(number=0))

    @classmethod
    def at(cls, path: Path) -> Self:
        """The SQLite file `path`, made if need be, for this user alone. Raises StoreError, OSError."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)  # an earlier fig left it to the umask; SQLite gives its other files the same
        return cls(f"sqlite:///{path.absolute()}")

    def load(self) -> Stored:
        with self._engine.connect() as connection:
            generation = connection.execute(sa.select(_GENERATION.c.number)).scalar_one()
            rows = connection.execute(sa.select(_STANDINGS)).all()
        return Stored(generation, {row.route: Standing(row.route, _rollout(row), row.declared) for row in rows})

    def record(self, generation: int, changes: Sequence[Change]) -> list[int]:
        numbers: list[int] = []
        with self._engine.begin() as connection:
            connection.execute(_GENERATION.update().values(number=generation))
            for some in _batches(changes):
                routes = [{"gone": change.entry.route} for change in some]
                connection.execute(_STANDINGS.delete().where(_STANDINGS.c.route == sa.bindparam("gone")), routes)
                latest = {change.entry.route: change.standing for change in some}
                rows = [_row(standing) for standing in latest.values() if standing is not None]
                if rows:
                    connection.execute(_STANDINGS.insert(), rows)
                lines = _HISTORY.insert().returning(_HISTORY.c.number, sort_by_parameter_order=True)
                numbers += connection.execute(lines, [_line(change.entry) for change in some]).scalars()
        return numbers

    def note(self, entry: Entry) -> int:
        with self._engine.begin() as connection:
            line = _HISTORY.insert().values(**_line(entry)).returning(_HISTORY.c.number)
            return int(connection.execute(line).scalar_one())

    def history(self, route: str | None = None, limit: int = 100) -> list[Entry]:
        query = sa.select(_HISTORY).order_by(_HISTORY.c.number.desc()).limit(limit)
        if route is not None:
            query = query.where(_HISTORY.c.route == route)
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
            sa.select(_HISTORY).where(_HISTORY.c.number > number).order_by(_HISTORY.c.number).limit(limit)
        )

    def last_line(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.max(_HISTORY.c.number))).scalar() or 0)

    def cursors(self) -> dict[str, int]:
        with self._engine.connect() as connection:
            return {row.receiver: row.number for row in connection.execute(sa.select(_CURSORS))}

    def keep_cursor(self, name: str, number: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(_CURSORS.delete().where(_CURSORS.c.receiver == name))
            connection.execute(_CURSORS.insert().values(receiver=name, number=number))

    def forget_cursors(self, kept: Sequence[str]) -> None:
        with self._engine.begin() as connection:
            connection.execute(_CURSORS.delete().where(_CURSORS.c.receiver.not_in(kept)))

    def budgets(self) -> dict[str, bytes]:
        with self._engine.connect() as connection:
            return {row.slo: row.ledger for row in connection.execute(sa.select(_BUDGETS))}

    def keep_budgets(self, changed: Mapping[str, bytes | None]) -> None:
        with self._engine.begin() as connection:
            for slo, ledger in changed.items():
                connection.execute(_BUDGETS.delete().where(_BUDGETS.c.slo == slo))
                if ledger is not None:
                    connection.execute(_BUDGETS.insert().values(slo=slo, ledger=ledger))

    def evidence(self) -> dict[str, Kept]:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_EVIDENCE)).all()
        return {
            row.route: Kept(
                row.route, msgspec.msgpack.decode(row.reference, type=dict[int, int]), _unpacked(row.snapshot)
            )
            for row in rows
        }

    def keep(self, changed: Mapping[str, Kept | None]) -> None:
        with self._engine.begin() as connection:
            for route, one in changed.items():
                connection.execute(_EVIDENCE.delete().where(_EVIDENCE.c.route == route))
                if one is None:
                    continue
                reference = msgspec.msgpack.encode(dict(one.reference))
                columns = {"route": route, "reference": reference, "snapshot": _packed(one.snapshot)}
                connection.execute(_EVIDENCE.insert().values(**columns))

    def rules(self) -> bytes:
        with self._engine.connect() as connection:
            return _unpacked(connection.execute(sa.select(_RULES.c.accepted)).scalar() or b"")

    def keep_rules(self, accepted: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(_RULES.delete())
            connection.execute(_RULES.insert().values(accepted=_packed(accepted)))

    def watches(self) -> dict[str, bytes]:
        with self._engine.connect() as connection:
            return {row.route: _unpacked(row.watch) for row in connection.execute(sa.select(_WATCHES))}

    def keep_watches(self, changed: Mapping[str, bytes | None]) -> None:
        with self._engine.begin() as connection:
            for route, watch in changed.items():
                connection.execute(_WATCHES.delete().where(_WATCHES.c.route == route))
                if watch is not None:
                    connection.execute(_WATCHES.insert().values(route=route, watch=_packed(watch)))

    def courses(self) -> dict[str, bytes]:
        with self._engine.connect() as connection:
            return {row.route: row.course for row in connection.execute(sa.select(_COURSES))}

    def keep_courses(self, changed: Mapping[str, bytes | None]) -> None:
        with self._engine.begin() as connection:
            for route, course in changed.items():
                connection.execute(_COURSES.delete().where(_COURSES.c.route == route))
                if course is not None:
                    connection.execute(_COURSES.insert().values(route=route, course=course))

    def close(self) -> None:
        self._engine.dispose()


def _packed(snapshot: bytes) -> bytes:
    """A seventh of the bytes for a millisecond: most of evidence is zeros, and it is written every few seconds."""
    return zlib.compress(snapshot, level=1) if snapshot else b""


def _unpacked(data: bytes) -> bytes:
    """What an earlier fig wrote was not packed; what is damaged is handed on, for whoever reads it to refuse."""
    try:
        return zlib.decompress(data) if data.startswith(b"\x78") else data
    except zlib.error:
        return data


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


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _add_missing_columns(engine: sa.Engine) -> None:
    """What an earlier fig's tables lack; new columns have a default, so that its rows stay what they were."""
    inspector = sa.inspect(engine)
    with engine.begin() as connection:
        for table in _META.sorted_tables:
            present = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in present:
                    wanted = sa.schema.CreateColumn(column).compile(dialect=engine.dialect)
                    connection.execute(sa.text(f"alter table {table.name} add column {wanted}"))


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
    )


def _plain(position: Position | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {"stage": position.stage.value, "share": position.share, "frozen": position.frozen}


def _position(plain: dict[str, Any] | None) -> Position | None:
    if plain is None:
        return None
    return Position(Stage(plain["stage"]), plain["share"], plain["frozen"])

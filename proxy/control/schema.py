"""The tables of control's store, and how a database comes to have them. SQLAlchemy Core, so another one is a URL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

META = sa.MetaData()
GENERATION = sa.Table("generation", META, sa.Column("number", sa.Integer, nullable=False))
STANDINGS = sa.Table(
    "standings",
    META,
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
    sa.Column("resumed", sa.Float, nullable=False, server_default="0"),
    sa.Column("proven", sa.Float),
)
HISTORY = sa.Table(
    "history",
    META,
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
EVIDENCE = sa.Table(
    "evidence",
    META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("reference", sa.LargeBinary, nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
)
COURSES = sa.Table(
    "courses",
    META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("course", sa.LargeBinary, nullable=False),
)
CURSORS = sa.Table(
    "cursors",
    META,
    sa.Column("receiver", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
BUDGETS = sa.Table(
    "budgets",
    META,
    sa.Column("slo", sa.String, primary_key=True),
    sa.Column("ledger", sa.LargeBinary, nullable=False),
)
WATCHES = sa.Table(
    "watches",
    META,
    sa.Column("route", sa.String, primary_key=True),
    sa.Column("watch", sa.LargeBinary, nullable=False),
)
RULES = sa.Table("rules", META, sa.Column("accepted", sa.LargeBinary, nullable=False))
"""One row, once rules were accepted."""
_APPEND_ONLY = (
    "create trigger if not exists history_stays before update on history "
    "begin select raise(abort, 'the history is append-only'); end",
    "create trigger if not exists history_keeps before delete on history "
    "begin select raise(abort, 'the history is append-only'); end",
)


def prepare(engine: sa.Engine) -> None:
    """Make what the database lacks. Raises what SQLAlchemy raises."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    META.create_all(engine)
    _add_missing_columns(engine)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for statement in _APPEND_ONLY:
                connection.execute(sa.text(statement))
        if connection.execute(sa.select(GENERATION.c.number)).first() is None:
            connection.execute(GENERATION.insert().values(number=0))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _add_missing_columns(engine: sa.Engine) -> None:
    """What an earlier fig's tables lack; new columns have a default, so that its rows stay what they were."""
    inspector = sa.inspect(engine)
    with engine.begin() as connection:
        for table in META.sorted_tables:
            present = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in present:
                    wanted = sa.schema.CreateColumn(column).compile(dialect=engine.dialect)
                    connection.execute(sa.text(f"alter table {table.name} add column {wanted}"))

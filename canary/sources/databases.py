"""What kinds of databases are told before they are asked: only reading, by UTC, how long and how much at most. Pure.

By UTC, because a table's times without a zone are compared with :from in the zone of the connection: in New York's the
orders of five hours ago would pass for those of now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_POSTGRESQL = ("psycopg", "psycopg2")
_MYSQL = ("pymysql", "mysqldb")


def preparations(database: str, seconds: float, most_rows: int) -> tuple[str, ...]:
    """The statements that come first in a connection to `database` (``sqlite``, ``postgresql``, ``mysql``,
    ``mariadb``), after which a query of more than `seconds` is ended by the database itself, and some by one row more
    than `most_rows`. None for others."""
    if database == "sqlite":
        return ("PRAGMA query_only = ON",)
    if database == "postgresql":
        return (
            "SET TRANSACTION READ ONLY",
            f"SET LOCAL statement_timeout = {math.ceil(seconds * 1000)}",
            "SET LOCAL timezone = 'UTC'",
            "SET LOCAL cursor_tuple_fraction = 1",  # all rows are wanted, not the first ones soon
        )
    if database in ("mysql", "mariadb"):
        limit = (
            f"max_statement_time = {seconds:g}"
            if database == "mariadb"
            else f"max_execution_time = {seconds * 1000:.0f}"
        )
        rows = f"sql_select_limit = {most_rows + 1}"
        return (f"SET SESSION {limit}, {rows}", "SET SESSION time_zone = '+00:00'", "START TRANSACTION READ ONLY")
    return ()


def limits(driver: str, seconds: float, given: Mapping[str, object]) -> dict[str, int]:
    """Arguments with which a driver gives up by itself where a server says nothing; what the URL has `given` counts
    more. Whole seconds, as drivers want them."""
    whole = math.ceil(seconds)
    if driver in _POSTGRESQL:
        own = {"connect_timeout": whole}
    elif driver in _MYSQL:
        own = {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}
    else:
        own = {}
    return {name: value for name, value in own.items() if name not in given}

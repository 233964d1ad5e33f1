"""The real PostgreSQL and MariaDB, where they are installed, each on a socket in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests.programs import need

PACKAGE = "mariadb-server-core"
PASSWORD = "hidden@wo/rd"
ZONE = "America/New_York"
"""Of the servers themselves: no test may pass because they are in UTC by chance."""


@dataclass(frozen=True)
class Database:
    """One that runs, with an empty schema `shop`; the words are those in which its SQL differs."""

    url: str
    listening: Path
    """Its socket."""
    moment: str
    """What makes a time of its own of seconds: to be filled in by ``format``."""
    sleep: str
    endless: str
    """The beginning of a SELECT of more rows from `n` than anybody can read."""
    sleeping: str
    """Counts the queries of others that hold 'sleep'."""

    def of(self, host: str, port: int, password: str = PASSWORD) -> str:
        """The URL by which it is asked through a TCP port."""
        return f"{self.url.partition('://')[0]}://fig:{quote(password, safe='')}@{host}:{port}/shop"

    def between(self, column: str = "at") -> str:
        begin, end = self.moment.format(":from"), self.moment.format(":to")
        return f"FROM orders WHERE {column} >= {begin} AND {column} < {end}"

    @contextlib.contextmanager
    def connected(self) -> Iterator[Connection]:
        """A transaction that is committed, by UTC."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("SET time_zone = '+00:00'" if "mysql" in self.url else "SET timezone = 'UTC'"))
            yield connection

    def sleepers(self) -> int:
        """How many queries that hold 'sleep' run; in a transaction of its own, within which PostgreSQL would say the
        same again and again."""
        with self.connected() as connection:
            return int(connection.execute(text(self.sleeping)).scalar_one())

    def orders(self, rows: Sequence[tuple[float, str, float]]) -> None:
        """The table anew, with these (time, side, total): `at` knows its zone, `plain` has UTC without saying so."""
        own, plain = ("timestamptz", "timestamp") if "postgresql" in self.url else ("timestamp(6) NULL", "datetime(6)")
        moment = self.moment.format(":t")
        with self.connected() as connection:
            connection.execute(text("DROP TABLE IF EXISTS orders"))
            connection.execute(
                text(f"CREATE TABLE orders (at {own}, plain {plain}, side varchar(20), total numeric(12, 4))")
            )
            insert = text(f"INSERT INTO orders VALUES ({moment}, {moment}, :s, :v)")
            connection.execute(insert, [{"t": t, "s": s, "v": v} for t, s, v in rows])


@contextlib.contextmanager
def running_postgresql() -> Iterator[Database]:
    """While PostgreSQL runs; skips where it is missing."""
    places = "lib/postgresql/*/bin"
    initdb, postgres = need("initdb", "postgresql", places), need("postgres", "postgresql", places)
    with _folder() as folder:
        (folder / "password").write_text(PASSWORD)
        _run(
            *(initdb, "-D", folder / "data", "-U", "fig", "-A", "scram-sha-256", f"--pwfile={folder}/password"),
            *("--no-sync", "-E", "UTF8", "--locale=C"),
        )
        command = [postgres, "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        command += ["-c", f"timezone={ZONE}"]
        base, listening = f"postgresql+psycopg://fig:{quote(PASSWORD, safe='')}@", folder / ".s.PGSQL.5432"
        with _serving(command, folder):
            _when_up(
                listening, f"{base}/postgres?host={folder}", lambda each: each.execute(text("CREATE DATABASE shop"))
            )
            yield Database(
                f"{base}/shop?host={folder}",
                listening,
                "to_timestamp({})",
                "pg_sleep(60)",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS value",
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep%' AND state = 'active'"
                " AND pid <> pg_backend_pid()",
            )


@contextlib.contextmanager
def running_mariadb() -> Iterator[Database]:
    """While MariaDB runs; skips where it is missing."""
    install, mariadbd = need("mariadb-install-db", PACKAGE), need("mariadbd", PACKAGE)
    with _folder() as folder:
        data, listening = f"--datadir={folder}/data", folder / "socket"
        _run(install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
        command = [mariadbd, "--no-defaults", data, "--skip-networking", f"--socket={listening}"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--default-time-zone=-05:00"]

        def prepare(connection: Connection) -> None:
            connection.execute(text("CREATE DATABASE shop"))
            connection.execute(text("CREATE USER fig@localhost IDENTIFIED BY :word"), {"word": PASSWORD})
            connection.execute(text("GRANT ALL ON *.* TO fig@localhost"))

        with _serving(command, folder):
            _when_up(listening, f"mysql+pymysql://root@localhost/mysql?unix_socket={listening}", prepare)
            yield Database(
                f"mysql+pymysql://fig:{quote(PASSWORD, safe='')}@localhost/shop?unix_socket={listening}",
                listening,
                "from_unixtime({})",
                "sleep(60)",
                "WITH n AS (SELECT seq AS i FROM seq_1_to_100000000000) SELECT i AS value",
                "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%sleep%'"
                " AND id <> connection_id()",
            )


# Neither runs as root: there they are nobody, who may enter no folder of pytest's.


def _whose() -> dict[str, Any]:
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.getuid() == 0 else {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A new one with a short name, as a socket's path may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="fig-", ignore_cleanup_errors=True) as name:
        if os.getuid() == 0:
            shutil.chown(name, "nobody")
        yield Path(name)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, timeout=50, cwd="/", check=False, **_whose())
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).decode()[-2000:]}"
        )


@contextlib.contextmanager
def _serving(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **_whose())
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _when_up(listening: Path, url: str, prepare: Callable[[Connection], object]) -> None:
    """As soon as it answers at `url`. Raises what it said last."""
    _within_patience(lambda: _knock(listening), OSError)
    engine: Engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def once() -> None:
        with engine.connect() as connection:
            prepare(connection)

    _within_patience(once, OperationalError)


def _knock(listening: Path) -> None:
    """Not by a driver: PyMySQL leaves a socket open that does not connect."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(listening))


def _within_patience(act: Callable[[], None], failing: type[Exception]) -> None:
    for _ in range(1000):
        try:
            return act()
        except failing:
            time.sleep(0.02)
    return act()

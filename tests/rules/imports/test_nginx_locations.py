"""nginx's choice of a location against the draft's first match: the real nginx answers, and fig's table must agree."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from rules.asked import Asked
from rules.document import Rules
from rules.effective import Effective
from rules.imports.nginx import import_nginx
from rules.table import Table, compile_table
from tests.fakes.ports import free_ports
from tests.fakes.real_nginx import running_nginx

CONFIGURATIONS, PATHS = 24, 120
_REGEXES = ("~ ^/a/[bc]", "~* \\.PNG$", "~ /b/", "~ ^/(a|c)/b$", "~ c", "~ ^/a.b", "~* ^/C/(x|y)$")


def _locations(chance: random.Random) -> list[str]:
    prefixes = {_path(chance) for _ in range(chance.randint(2, 7))}
    exact = {_path(chance) for _ in range(chance.randint(0, 3))}
    found = [f"{'^~ ' if chance.random() < 0.3 else ''}{path}" for path in sorted(prefixes)]
    found += [f"= {path}" for path in sorted(exact)]
    found += chance.sample(_REGEXES, chance.randint(0, 3))
    chance.shuffle(found)
    return found


def _path(chance: random.Random) -> str:
    segments = [chance.choice(("a", "b", "c", "ab", "x.png", "C")) for _ in range(chance.randint(0, 3))]
    path = "/" + "/".join(segments)
    return path + "/" if segments and chance.random() < 0.4 else path


def _nested(chance: random.Random, numbers: Iterator[int], around: str = "/", depth: int = 0) -> str:
    """Locations within locations, each with an answer of its own."""
    lines = []
    kinds = ["", "", "^~ ", "= "] if depth else ["", "", "^~ "]
    for path in sorted({around.rstrip("/") + _path(chance) for _ in range(chance.randint(2, 4))}):
        kind = chance.choice(kinds)
        inner = (
            _nested(chance, numbers, path, depth + 1) if kind != "= " and depth < 2 and chance.random() < 0.6 else ""
        )
        lines.append(f'location {kind}{path} {{ return 200 "{next(numbers)}"; {inner} }}')
    lines += [
        f'location {each} {{ return 200 "{next(numbers)}"; }}' for each in chance.sample(_REGEXES, chance.randint(0, 2))
    ]
    chance.shuffle(lines)
    return "\n".join(lines)


def _server(locations: list[str] | str, port: int) -> str:
    lines = (
        locations
        if isinstance(locations, str)
        else "\n".join(f'    location {each} {{ return 200 "{number}"; }}' for number, each in enumerate(locations))
    )
    return f"  server {{\n    listen 127.0.0.1:{port};\n{lines}\n    location @never {{ return 200 x; }}\n  }}\n"


@pytest.fixture(scope="module")
def configurations() -> list[list[str] | str]:
    chance = random.Random(20)
    flat: list[list[str] | str] = [_locations(chance) for _ in range(CONFIGURATIONS)]
    return flat + [_nested(chance, itertools.count()) for _ in range(CONFIGURATIONS)]


@pytest.fixture(scope="module")
def ports(configurations: list[list[str] | str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Those of one nginx with a server for each configuration."""
    folder = tmp_path_factory.mktemp("nginx")
    ports = free_ports(len(configurations))
    servers = "".join(_server(each, port) for each, port in zip(configurations, ports, strict=True))
    with running_nginx(servers, ports[-1:], folder):
        yield ports


def _table(locations: list[str] | str, folder: Path) -> Table:
    conf = folder / "one.conf"
    upstream = "  upstream legacy { server 127.0.0.1:9; }\n"
    never = "  server { listen 127.0.0.1:1; server_name never.example; location / { proxy_pass http://legacy; } }\n"
    conf.write_text(f"http {{\n{upstream}{_server(locations, 1)}{never}}}\n")
    draft = import_nginx(conf)
    return compile_table(Effective(generation=1, rules=Rules.model_validate(draft.content())))


def _by_nginx(connection: HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    return body if answer.status == 200 else "none"


def _by_fig(table: Table, path: str) -> str:
    route = table.route(Asked("GET", "127.0.0.1", path, "", "127.0.0.1", 1))
    return route.own.answer(Asked("GET", "h", path), "http", {}).body.decode() if route.own is not None else "none"


def test_the_first_match_is_the_location_that_nginx_chooses(
    configurations: list[list[str] | str], ports: list[int], tmp_path: Path
) -> None:
    chance = random.Random(21)
    wrong = []
    for locations, port in zip(configurations, ports, strict=True):
        table = _table(locations, tmp_path)
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        for path in sorted({_path(chance) + chance.choice(("", "", "b", "/b")) for _ in range(PATHS)}):
            path = path.replace("//", "/")
            nginx, fig = _by_nginx(connection, path), _by_fig(table, path)
            if nginx != fig:
                wrong.append(f"{path}: nginx {nginx}, fig {fig} of {locations}")
        connection.close()
    assert wrong == []

"""nginx's choice of a server by host and port against the draft's: the real nginx answers, and the table must agree."""

from __future__ import annotations

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

ONE_PORT = (
    r"~^(?<sub>.+)\.shop\.example$", "*.shop.example", "*.eu.shop.example", "mail.*", "mail.shop.*", ".corp.example",
    "api.shop.example mail.eu.shop.example", r"~^WWW\D\d+\.|^second\.", "default.shop.example DEFAULT",
)  # fmt: skip
HOSTS = (
    "a.shop.example", "a.eu.shop.example", "eu.shop.example", "shop.example", "mail.foo", "mail.shop.de", "DEFAULT",
    "mail.shop.example", "mail.eu.shop.example", "API.shop.example", "corp.example", "x.y.corp.example", "www-1.foo",
    "www11.foo", "second.foo", "xsecond.foo", "nothing", "default.shop.example", "default.example",
)  # fmt: skip
TWO_PORTS = (  # (port, names, default)
    ("P", "a.example", False), ("P", "*.wild.example", True), ("Q", "a.example", False), ("Q", "b.example", False),
    ("Q", "_", True), ("Q", "x.wild.example", False), ("P", "c.example", False), ("Q", "*.example", False),
)  # fmt: skip
KNOWN = ("a.example", "b.example", "c.example", "x.wild.example", "y.wild.example", "d.example")


def _server(port: int, names: str, number: int, *, default: bool) -> str:
    listen = f"listen 127.0.0.1:{port}{' default_server' if default else ''};"
    return f"server {{ {listen} server_name {names}; location / {{ return 200 {number}; }} }}\n"


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[int, int, int], Table, Table]]:
    """Ports of the real nginx (one of the first configuration, two of the second), and the tables of both drafts."""
    folder = tmp_path_factory.mktemp("nginx")
    ports = free_ports(3)
    first = "".join(
        _server(ports[0], names, number, default="DEFAULT" in names) for number, names in enumerate(ONE_PORT)
    )
    second = "".join(
        _server(ports["PQ".index(port) + 1], names, number, default=default)
        for number, (port, names, default) in enumerate(TWO_PORTS)
    )
    with running_nginx(first + second, ports, folder):
        yield (ports[0], ports[1], ports[2]), _table(first, folder), _table(second, folder)


def _table(servers: str, folder: Path) -> Table:
    conf = folder / "draft.conf"
    conf.write_text(f"http {{\n{servers}}}\n")
    return compile_table(Effective(generation=1, rules=Rules.model_validate(import_nginx(conf).content())))


def _by_nginx(port: int, host: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _by_fig(table: Table, port: int, host: str) -> str:
    asked = Asked("GET", host.lower(), "/", "", "127.0.0.1", port)
    own = table.route(asked).own
    return own.answer(asked, "http", {}).body.decode() if own is not None else "legacy"


@pytest.mark.parametrize("host", HOSTS)
def test_the_draft_chooses_the_server_that_nginx_chooses(
    fronts: tuple[tuple[int, int, int], Table, Table], host: str
) -> None:
    (port, _, _), table, _ = fronts
    assert _by_fig(table, port, host) == _by_nginx(port, host)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("host", KNOWN)
def test_a_host_that_is_named_on_another_port_goes_to_the_default_of_this_one(
    fronts: tuple[tuple[int, int, int], Table, Table], host: str, which: int
) -> None:
    ports, _, table = fronts
    by_nginx = _by_nginx(ports[which], host)
    assert _by_fig(table, ports[which], host) == by_nginx


def test_the_default_of_one_port_of_several_is_listed(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text("""http { upstream a { server 10.0.0.1:80; }
        server { listen 80 default_server; server_name _; return 301 https://$host$request_uri; }
        server { listen 443; server_name s.example; location / { proxy_pass http://a; } } }""")
    draft = import_nginx(conf)
    assert [route.content["match"]["host"] for route in draft.routes] == ["s.example:80", "s.example:443"]
    assert [(each.origin.line, "hosts that no server names" in each.why) for each in draft.not_carried] == [
        (2, True), (3, True),
    ]  # fmt: skip


def test_a_server_that_redirects_some_hosts_and_refuses_the_rest_does_so(tmp_path: Path) -> None:
    """What certbot writes."""
    port = free_ports(1)[0]
    servers = f"""
    server {{
        if ($host = www.s.example) {{ return 301 https://s.example$request_uri; }}
        if ($host = s.example) {{ return 301 https://$host$request_uri; }}
        listen 127.0.0.1:{port};
        server_name s.example www.s.example other.example;
        return 404;
    }}
    """
    table = _table(servers, tmp_path)
    with running_nginx(servers, [port], tmp_path):
        for host in ("s.example", "www.s.example", "other.example"):
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/a?b=1", headers={"Host": host})
            answer = connection.getresponse()
            asked = Asked("GET", host, "/a", "b=1", "127.0.0.1", 80)
            own = table.route(asked).own
            assert own is not None
            seen = own.answer(asked, "http", {"host": host})
            assert (seen.status, dict(seen.headers).get("Location")) == (answer.status, answer.headers["location"])
            connection.close()

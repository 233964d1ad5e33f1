"""What nginx sends to a service against what the draft's routes send: the real nginx passes requests on to an echo."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rules.document import Rules
from rules.effective import Effective
from rules.explaining.explain import Asked
from rules.imports.nginx import import_nginx
from rules.matching.path import normalise
from rules.stages import Side
from rules.table import Table, compile_table
from tests.fakes.ports import free_ports
from tests.fakes.real_nginx import running_nginx

LOCATIONS = r"""
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    location / { proxy_pass http://echo; }
    location /a/ { proxy_pass http://echo/; }
    location /b/ { proxy_pass http://echo/v2/; }
    location /c/ { proxy_pass http://echo/v2; }
    location /d { proxy_pass http://echo/v2; }
    location = /e { proxy_pass http://echo/exact; }
    location /f/ { rewrite ^/f/(.*)/(\d+)$ /g/$2/$1 break; proxy_pass http://echo; }
    location /h/ { rewrite ^/h/old /h/new break; proxy_pass http://echo; }
    location ~ ^/i/([a-z]+)/(?<rest>.*)$ {
        proxy_pass http://echo; proxy_set_header Host $1.internal; proxy_set_header X-Rest $rest;
    }
    location ~ ^/s/(\d+)/(.*)$ { proxy_pass http://echo/t/$2/$1; }
    location ~ ^/u/(.*)$ { proxy_pass http://echo/v/$1$is_args$args; }
    location ~ ^/w { proxy_pass http://echo/w2$request_uri; }
    location /j/ { proxy_pass http://echo; proxy_set_header Host $proxy_host; proxy_set_header Accept-Language ""; }
    location /k/ { rewrite ^/k/(.*)$ /moved/$1 permanent; }
    location /l/ { return 302 https://$host/there$request_uri; }
    location /m/ { return 301 /n?x=1; }
    location /n/ { return 307 http://other.example$uri; }
    location /o/ { proxy_pass http://echo; limit_except GET { deny all; } }
    location /p/ { allow 127.0.0.0/8; deny all; proxy_pass http://echo; }
    location /r/ { return 200 "it's \"well\"\n"; }
    location /t/ { internal; }
    location "/v v/" { proxy_pass http://echo/w%20w/; }
    location "/x*" { proxy_pass http://echo; proxy_set_header Host star; }
    location "/{y}" { proxy_pass http://echo; proxy_set_header Host brace; }
    location /z/ { set $to 127.0.0.1:@ECHO@; proxy_pass http://$to/whole; }
    location /z2/ { set $to 127.0.0.1:@ECHO@; proxy_pass http://$to$uri; }
    location /z3/ { set $to 127.0.0.1:@ECHO@; proxy_pass http://$to$request_uri; }
    location /z4/ { set $to 127.0.0.1:@ECHO@; proxy_pass http://$to; }
    location /hdr/ { add_header X-Some 1; add_header X-Each 2 always; return 404; }
    location /c1/ { if ($http_x_key ~* "^b(e|o)ta") { return 403; } if ($cookie_vip = yes) { return 302 /vip; }
        if ($arg_q != 1) { add_header X-Some 1; return 204; }
        if ($request_method !~ ^(GET|HEAD)$) { return 405; } proxy_pass http://echo; }
    location /c3/ { rewrite ^/c3/(.*)$ /moved/$1 break; proxy_pass http://$chosen;
        proxy_set_header Host $proxy_host; }
    location /c4/ { proxy_pass http://$by_path; proxy_set_header Host $proxy_host; }
    location /q/ { allow 10.0.0.0/8; deny all; proxy_pass http://echo; }
"""
MAPS = """
map $http_x_key $chosen { default echo; Beta 127.0.0.1:@ECHO@; ~^gam 127.0.0.2:@ECHO@; }
map $uri $by_path { /c4/a 127.0.0.1:@ECHO@; ~^/c4/b 127.0.0.2:@ECHO@; default echo; }
"""
TARGETS = (
    "/", "/x/y?z=1", "/a/", "/a/1/2?q", "/b/", "/b/7?x=1&y=2", "/c/7", "/c/", "/d", "/d/7", "/dx", "/e?x=1",
    "/f/one/12", "/f/one/two/12?x=1", "/f/one/x", "/h/old/7", "/h/other", "/i/abc/d/e", "/i/abc/", "/i/ABC/x",
    "/j/x", "/k/7?x=1", "/k/", "/l/1?y=2", "/m/1?y=2", "/n/1?y=2", "/o/1",
    "/s/7/a/b?x=1", "/u/a/b?x=1", "/u/a", "/w/1?x=1", "/p/1", "/q/1",
    "/r/", "/t/1", "/v%20v/1?x=1", "/x*", "/x*/1", "/x*y", "/xy", "/%7By%7D/1", "/z/1?x=1", "/z2/1?x=1", "/z3/1?x=1",
    "/z4/1?x=1", "/hdr/",
)  # fmt: skip


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        names = ("x-real-ip", "x-rest", "accept-language")
        seen = {"target": self.path, "host": self.headers["host"]} | {name: self.headers[name] for name in names}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    server = ThreadingHTTPServer(("0.0.0.0", 0), _Echo)  # nginx sends to 127.0.0.2 as well
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def sides(echo: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Table]]:
    """The port of the real nginx, and the table of the draft."""
    folder = tmp_path_factory.mktemp("nginx")
    port = free_ports(1)[0]
    locations = LOCATIONS.replace("@ECHO@", str(echo))
    maps = MAPS.replace("@ECHO@", str(echo))
    http = f"{maps} upstream echo {{ server 127.0.0.1:{echo}; }}\nserver {{ listen 127.0.0.1:{port};\n{locations}\n}}\n"
    (folder / "draft.conf").write_text(f"http {{ {http} }}")
    draft = import_nginx(folder / "draft.conf")
    assert draft.not_carried == ()
    table = compile_table(Effective(generation=1, rules=Rules.model_validate(draft.content())))
    with running_nginx(http, [port], folder):
        yield port, table


def _by_nginx(port: int, method: str, target: str, **more: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, headers={"Host": "shop.example", "Accept-Language": "de"} | more)
        answer = connection.getresponse()
        body = answer.read()
        if body.startswith(b"{"):
            return dict(json.loads(body))
        location = answer.headers["location"]  # nginx makes a path absolute with its own port
        return {
            "status": answer.status, "location": location and location.replace(f":{port}", ""),
            "body": b"" if b"<html>" in body else body, "added": (answer.headers["x-some"], answer.headers["x-each"]),
        }  # fmt: skip
    finally:
        connection.close()


def _by_fig(table: Table, method: str, target: str, **more: str) -> dict[str, Any]:
    path, _, query = target.partition("?")
    headers = {"accept-language": ["de"]} | {name.lower(): [value] for name, value in more.items()}
    request = Asked(method, "shop.example", normalise(path) or "", query, "127.0.0.1", 80, headers=headers)
    route = table.route(request)
    values = route.captures(request) | {"host": request.host, "client": request.client, "path": request.path}
    if route.own is not None:
        answer = route.own.answer(request, "http", values)
        lines = dict(answer.headers)
        return {
            "status": answer.status, "location": lines.get("Location"), "body": answer.body,
            "added": (lines.get("X-Some"), lines.get("X-Each")),
        }  # fmt: skip
    change = route.changes[Side.LEGACY]
    assert change is not None
    sent = change.request(request, values)
    fields = change.request_fields
    lines = {name.lower(): value for name, value in (fields.lines(values) if fields else [])}
    language = None if fields and "accept-language" in fields.removed else "de"
    whole = f"{sent.path}?{sent.query}" if sent.query else sent.path
    return {
        "target": whole, "host": sent.host or "shop.example", "x-real-ip": lines.get("x-real-ip"),
        "x-rest": lines.get("x-rest") or None, "accept-language": language,
    }  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_draft_sends_and_answers_what_nginx_sends_and_answers(sides: tuple[int, Table], target: str) -> None:
    port, table = sides
    assert _by_fig(table, "GET", target) == _by_nginx(port, "GET", target)


def test_a_method_that_nginx_refuses_the_draft_refuses(sides: tuple[int, Table]) -> None:
    port, table = sides
    assert _by_fig(table, "DELETE", "/o/1") == _by_nginx(port, "DELETE", "/o/1")
    assert _by_nginx(port, "DELETE", "/o/1")["status"] == 403


@pytest.mark.parametrize("more", [{}, {"X-Key": "BETA"}, {"X-Key": "bota"}, {"X-Key": "gamma"}, {"X-Key": "xgamma"},
                                  {"Cookie": "a=b; vip=yes"}, {"Cookie": "vip=no"}])  # fmt: skip
@pytest.mark.parametrize("target", ["/c1/x?q=1", "/c1/x", "/c1/x?q=2", "/c3/x?y=1", "/c4/a", "/c4/b/c", "/c4/d"])
def test_what_nginx_asks_of_a_request_the_draft_asks(
    sides: tuple[int, Table], target: str, more: dict[str, str]
) -> None:
    port, table = sides
    assert _by_fig(table, "GET", target, **more) == _by_nginx(port, "GET", target, **more)

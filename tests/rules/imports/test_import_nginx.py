"""Draft rules from an nginx configuration."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.rulebook import Rulebook, load
from rules.asked import Asked
from rules.effective import Effective
from rules.imports.draft import Draft, ImportFailed, render
from rules.imports.nginx import import_nginx
from rules.stages import Side
from rules.table import compile_table

SHOP = Path(__file__).parent / "shop.conf"
Import = Callable[..., Draft]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """The draft of what stands in `http`, or of locations of one server; it must load as rules."""

    def imported(http: str = "", locations: str = "", legacy: str | None = None, **files: str) -> Draft:
        for name, text in files.items():
            (tmp_path / f"{name}.conf").write_text(text)
        server = f"upstream shop {{ server 10.0.0.1:8080; }} server {{ {locations} }}" if locations else ""
        conf = tmp_path / "nginx.conf"
        conf.write_text(f"events {{}}\nhttp {{\n{http}\n{server}\n}}\n")
        draft = import_nginx(conf, legacy)
        rulebook_of(draft, tmp_path)
        return draft

    return imported


def rulebook_of(draft: Draft, folder: Path) -> Rulebook:
    file = folder / "draft.yaml"
    file.write_text(render(draft))
    rulebook = load(file, {})
    assert json.loads(json.dumps(draft.content()))["routes"] == draft.content()["routes"]
    return rulebook


def _only(draft: Draft) -> dict[str, Any]:
    assert len(draft.routes) == 1
    return draft.routes[0].content


def _said(draft: Draft) -> list[str]:
    return [each.what for each in draft.not_carried]


def test_the_whole_front_of_a_shop_becomes_rules_that_load(tmp_path: Path) -> None:
    draft = import_nginx(SHOP)
    rules = rulebook_of(draft, tmp_path).rules
    assert rules.legacy == "monolith"
    assert set(rules.services) == {"monolith", "catalog", "checkout", "search_next", "nginx"}
    by_name = {route.name: route for route in rules.routes}
    assert by_name["search"].share == 50_000
    assert by_name["search"].unit is not None
    assert by_name["search"].unit.cookie == "shop_id"
    assert by_name["api-catalog"].timeout == 5
    assert by_name["api-checkout"].max_body == 64 * 1024
    assert rules.services["checkout"].connect_timeout == 1
    assert rules.services["monolith"].where == "http://10.0.0.10:8080 http://10.0.0.11:8080"


def test_what_the_shop_has_and_fig_cannot_say_is_listed_with_its_place() -> None:
    said = [str(each) for each in import_nginx(SHOP).not_carried]
    lines = {int(re.search(r":(\d+): ", each)[1]) for each in said}  # type: ignore[index]
    assert lines == {11, 31, 32, 33, 41, 47, 48, 50, 51, 76, 77, 78, 101}
    assert all(each.count(": ") >= 2 for each in said)


@pytest.mark.parametrize(
    ("target", "service", "sent"),
    [
        ("/", "monolith", "/"),
        ("/api/catalog/7", "catalog", "/v2/7"),
        ("/orders/12/invoice", "checkout", "/orders/12/invoice"),
        ("/blog/hello", "monolith", "/cms/hello"),
        ("/logo.PNG", "nginx", "/logo.PNG"),
        ("/anything", "monolith", "/anything"),
    ],
)
def test_a_request_to_the_shop_goes_where_nginx_sends_it(tmp_path: Path, target: str, service: str, sent: str) -> None:
    table = compile_table(Effective(generation=1, rules=rulebook_of(import_nginx(SHOP), tmp_path).rules))
    request = Asked("GET", "shop.example", target, "", "192.0.2.1", 443)
    route = table.route(request)
    change = route.changes[Side.LEGACY]
    assert route.legacy == service
    assert (change.request(request, route.captures(request)).path if change else target) == sent


@pytest.mark.parametrize(
    ("location", "uri", "rewrite"),
    [
        ("/api/", "", None),
        ("/api/", "/api/", None),
        ("/api/", "/", {"prefix": "/"}),
        ("/api/", "/v2/", {"prefix": "/v2"}),
        ("/api/", "/v2", {"regex": {"match": "^/api/", "replace": "/v2"}}),
        ("/api", "/v2", {"regex": {"match": "^/api", "replace": "/v2"}}),
        ("= /api", "/v2?x=1", {"path": "/v2?x=1"}),
        ("/", "/shop/", {"prefix": "/shop"}),
    ],
)
def test_a_uri_behind_the_service_replaces_what_the_location_matched(
    imported: Import, location: str, uri: str, rewrite: dict[str, Any] | None
) -> None:
    text = f"proxy_set_header Host $host; location {location} {{ proxy_pass http://shop{uri}; }}"
    content = _only(imported(locations=text))
    assert content.get("rewrite") == (rewrite and rewrite | {"sides": "both"})


def test_without_a_host_line_nginx_sends_the_upstreams_name(imported: Import) -> None:
    assert _only(imported(locations="location / { proxy_pass http://shop; }"))["rewrite"]["host"] == "shop"
    kept = "proxy_set_header Host $http_host; location / { proxy_pass http://shop; }"
    assert "rewrite" not in _only(imported(locations=kept))


def test_header_lines_are_inherited_only_by_blocks_that_have_none(imported: Import) -> None:
    text = """proxy_set_header Host $host; proxy_set_header X-A a;
        location /own/ { proxy_set_header Host $host; proxy_set_header X-B b; proxy_pass http://shop; }
        location / { proxy_pass http://shop; }"""
    own, rest = (route.content for route in imported(locations=text).routes)
    assert own["request_headers"]["set"] == {"X-B": "b"}
    assert rest["request_headers"]["set"] == {"X-A": "a"}


def test_what_fig_writes_by_itself_is_carried_and_what_it_refuses_is_listed(imported: Import) -> None:
    text = """location / { proxy_pass http://shop; proxy_set_header Host $host; proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-ID fixed; }"""
    draft = imported(locations=text)
    assert "request_headers" not in _only(draft)
    assert len(draft.not_carried) == 1
    assert "fig itself writes X-Request-ID" in draft.not_carried[0].why


def test_the_value_of_a_header_is_never_shown(imported: Import) -> None:
    secret = 'location / { proxy_pass http://shop; proxy_set_header Authorization "Basic $secret hunter2"; }'
    draft = imported(locations=secret)
    assert "hunter2" not in "".join(map(str, draft.not_carried))
    assert any(each.what.startswith("proxy_set_header") for each in draft.not_carried)


@pytest.mark.parametrize(
    ("directive", "block"),
    [
        ("return 301 https://$host$request_uri", {"redirect": {"status": 301, "scheme": "https"}}),
        ("return 302 /x", {"redirect": {"status": 302, "path": "/x", "query": "drop"}}),
        (
            "return https://a.example/x",
            {"redirect": {"status": 302, "scheme": "https", "host": "a.example", "path": "/x", "query": "drop"}},
        ),
        ("return 301 $scheme://a.example$request_uri", {"redirect": {"status": 301, "host": "a.example"}}),
        ('return 410 "gone"', {"respond": {"status": 410, "body": "gone"}}),
        ("return 204", {"respond": {"status": 204}}),
        ("deny all", {"respond": {"status": 403}}),
    ],
)
def test_what_nginx_answers_itself_fig_answers_itself(imported: Import, directive: str, block: dict[str, Any]) -> None:
    draft = imported(locations=f"location /x {{ {directive}; }} location / {{ proxy_pass http://shop; }}")
    content = dict(draft.routes[0].content)
    content.pop("match")
    assert content == block
    assert draft.not_carried == ()


def test_a_permanent_rewrite_is_a_redirect_with_captures(imported: Import) -> None:
    text = "location /old/ { rewrite ^/old/([0-9]+)$ /new/$1 permanent; proxy_pass http://shop; }"
    draft = imported(locations=text)
    assert draft.routes[0].content["redirect"] == {"status": 301, "path": "/new/{g1}"}
    assert draft.routes[1].content["legacy"] == "shop"
    assert draft.not_carried == ()


def test_limit_except_leaves_methods_and_refuses_the_others(imported: Import) -> None:
    draft = imported(locations="location / { limit_except GET { deny all; } proxy_pass http://shop; }")
    first, second = (route.content for route in draft.routes)
    assert first["match"] == {"path": "/**", "methods": ["GET", "HEAD"]}
    assert second["respond"] == {"status": 403}
    assert draft.not_carried == ()


def test_networks_that_are_let_in_are_a_match_and_the_others_get_403(imported: Import) -> None:
    text = "location / { allow 10.0.0.0/8; allow 2001:db8::/32; deny all; proxy_pass http://shop; }"
    draft = imported(locations=text)
    first, second = (route.content for route in draft.routes)
    assert first["match"] == {"path": "/**", "client": ["10.0.0.0/8", "2001:db8::/32"]}
    assert second == {"match": {"path": "/**"}, "respond": {"status": 403}}
    assert draft.not_carried == ()


def test_a_return_comes_before_any_question_who_asks(imported: Import) -> None:
    draft = imported(
        locations="location / { proxy_pass http://shop; } location /r { allow 10.0.0.0/8; deny all; return 204; }"
    )
    assert draft.routes[0].content["respond"] == {"status": 204}
    assert "client" not in draft.routes[0].content["match"]


def test_networks_in_another_order_are_listed(imported: Import) -> None:
    draft = imported(locations="location / { deny 10.1.0.0/16; allow 10.0.0.0/8; deny all; proxy_pass http://shop; }")
    assert _said(draft) == ["deny 10.1.0.0/16", "allow 10.0.0.0/8", "deny all"]


def test_a_split_is_a_canary_whose_legacy_is_the_files(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; } upstream b { server 10.0.0.2:80; }
        split_clients $remote_addr $v { 90% b; * a; }
        server { location / { proxy_pass http://a; } location /s/ { proxy_pass http://$v; } }"""
    content = next(route.content for route in imported(http).routes if "candidate" in route.content)
    assert (content["legacy"], content["candidate"], content["share"]) == ("a", "b", "90%")
    content = next(route.content for route in imported(http, legacy="b").routes if "candidate" in route.content)
    assert (content["legacy"], content["candidate"], content["share"]) == ("b", "a", "10%")
    assert content["unit"] == {"address": True}


def test_servers_are_told_apart_as_nginx_tells_them(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; }
        server { server_name ~^v[0-9]+\\.example$; location / { proxy_pass http://a; } }
        server { server_name .shop.example; location / { proxy_pass http://a; } }
        server { server_name api.shop.example; location / { proxy_pass http://a; } }
        server { listen 80 default_server; location / { proxy_pass http://a; } }"""
    hosts = [route.content["match"].get("host") for route in imported(http).routes]
    assert hosts == ["shop.example", "api.shop.example", "*.shop.example", {"regex": "v[0-9]+\\.example"}, None]


def test_the_plain_port_that_only_redirects_stays_apart_from_the_secure_one(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; }
        server { listen 80; server_name s.example; return 301 https://s.example$request_uri; }
        server { listen 443 ssl; server_name s.example; location / { proxy_pass http://a; } }"""
    first, second = (route.content for route in imported(http).routes)
    assert first["match"]["host"] == "s.example:80"
    assert first["redirect"] == {"status": 301, "scheme": "https", "host": "s.example"}
    assert second["match"]["host"] == "s.example:443"


def test_included_files_are_read_and_named(imported: Import) -> None:
    draft = imported("include up.conf; server { include loc.conf; }", up="upstream a { server 10.0.0.1:80; }",
                     loc="\nlocation / { proxy_pass http://a; }\nlocation /x { frobnicate on; }")  # fmt: skip
    assert [str(route.origin) for route in draft.routes] == ["loc.conf:3", "loc.conf:2"]
    assert {str(each.origin) for each in draft.not_carried} == {"loc.conf:3"}
    assert set(_said(draft)) == {"location /x", "frobnicate on"}


def test_who_is_legacy_is_chosen_and_said(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; } upstream b { server 10.0.0.2:80; }
        server { location /1 { proxy_pass http://b; } location /2 { proxy_pass http://b; }
        location /3 { proxy_pass http://a; } }"""
    assert (imported(http).legacy, imported(http).chosen[:22]) == ("b", "it answers most routes")
    assert imported(http, legacy="a").legacy == "a"
    with pytest.raises(ImportFailed, match="no service has this name; there is '"):
        imported(http, legacy="c")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http { server { ", "unexpected end of file"),
        ("http { } }", 'unexpected "}"'),
        ("", "no route can be made of it: it has no location"),
        ("http { server { listen 80; } }", "no route can be made of it: it has no location"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(text)
    with pytest.raises(ImportFailed, match=says):
        import_nginx(conf)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="cannot be read: No such file"):
        import_nginx(tmp_path / "none.conf")
    with pytest.raises(ImportFailed, match="cannot be read: Is a directory"):
        import_nginx(tmp_path)


def test_what_is_included_and_is_not_there_is_listed(imported: Import, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    draft = imported("include none.conf; include folder; include sites/*;", "location / { proxy_pass http://shop; }")
    assert set(_said(draft)) == {"include folder", "include none.conf", "include sites/*"}
    assert all("give fig" in each.why for each in draft.not_carried)


def test_what_is_listed_stays_one_line_without_what_a_terminal_acts_on(imported: Import) -> None:
    draft = imported('frobnicate "a\\nb\x1b[31m";', "location / { proxy_pass http://shop; }")
    assert str(draft.not_carried[0]).partition(": ")[2].startswith("frobnicate a b [31m: fig has nothing for it")


@pytest.mark.parametrize("name", ["a\0.conf", "a\0*", "[a"])
def test_a_name_that_no_file_can_have_is_listed(imported: Import, name: str) -> None:
    draft = imported(f'include "{name}";', "location / { proxy_pass http://shop; }")
    assert len(draft.not_carried) == 1


def test_a_file_counts_in_every_place_that_includes_it(imported: Import) -> None:
    text = "location /a { include to.conf; } location /b { include to.conf; }"
    draft = imported("include up.conf; proxy_set_header Host $host;", text, to="proxy_pass http://shop;", up="")
    assert [route.content["legacy"] for route in draft.routes] == ["shop", "shop"]


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.conf")
    (tmp_path / "nginx.conf").write_text("http { include pipe.conf; }")
    for name in ("pipe.conf", "nginx.conf"):
        with pytest.raises(ImportFailed, match=r"pipe\.conf: not a regular file"):
            import_nginx(tmp_path / name)


def test_files_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.imports.conf.LARGEST", 100)
    (tmp_path / "nginx.conf").write_text("http { include more.conf; }")
    (tmp_path / "more.conf").write_text("#" * 90)
    with pytest.raises(ImportFailed, match=r"^more\.conf: with it the configuration is larger than"):
        import_nginx(tmp_path / "nginx.conf")


@pytest.mark.parametrize("text", ["a { " * 3000 + "}" * 3000, "include nginx.conf;"])
def test_what_is_too_deep_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "nginx.conf").write_text(f"http {{ {text} }}")
    with pytest.raises(ImportFailed, match="deep within one another"):
        import_nginx(tmp_path / "nginx.conf")


@pytest.mark.parametrize(
    "body",
    [
        "root /srv;",
        "fastcgi_pass unix:/run/php.sock;",
        "proxy_pass http://$unknown;",
        "proxy_pass http://shop/x?y=;",
        "return 301 $unknown;",
        "rewrite ^/x/(.*)$ /y/$1 last;",
        "set $to shop; if ($arg_a) { set $to b; } proxy_pass http://$to;",
    ],
)
def test_what_nginx_does_itself_it_goes_on_doing_behind_fig(imported: Import, body: str) -> None:
    locations = f"location /x/ {{ {body} }} location / {{ proxy_pass http://shop; }}"
    draft = imported("proxy_set_header Host $host;", locations)
    assert draft.routes[0].content["legacy"] == "nginx"
    assert draft.legacy == "shop"
    assert any("a placeholder" in each.why for each in draft.not_carried if each.what == "location /x/")


def test_what_a_named_server_leaves_over_does_not_reach_the_default_server(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; } proxy_set_header Host $host;
        server { server_name s.example; location /x { proxy_pass http://a; } }
        server { listen 80 default_server; location / { proxy_pass http://a; } }"""
    draft = imported(http)
    assert [(each.content["match"].get("host"), each.content["legacy"]) for each in draft.routes] == [
        ("s.example", "a"), ("s.example", "nginx"), (None, "a"),
    ]  # fmt: skip


@pytest.mark.parametrize("expression", ['"^/a b"', "^/a%20b", "^/ä", "^/a(?!b)"])
def test_a_regex_that_would_never_match_here_is_listed(imported: Import, expression: str) -> None:
    draft = imported("", f"location ~ {expression} {{ return 204; }} location / {{ proxy_pass http://shop; }}")
    assert "its path cannot be said" in next(each.why for each in draft.not_carried if "location" in each.what)


def test_the_map_for_upgraded_connections_is_nothing_to_carry(imported: Import) -> None:
    http = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }"
    text = """location / { proxy_pass http://shop; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade; proxy_set_header Host $host; }"""
    assert imported(http, text).not_carried == ()


def test_a_map_of_which_a_line_cannot_be_said_is_listed_whole(imported: Import) -> None:
    http = "map $http_x $to { default shop; a shop; b $other; }"
    draft = imported(http, "location / { proxy_pass http://$to; }")
    assert _said(draft)[:4] == ["map $http_x $to", "default shop", "a shop", "b $other"]
    assert draft.routes[0].content["legacy"] == "nginx"


def test_each_header_that_is_not_carried_is_listed_by_name(imported: Import) -> None:
    text = "location / { proxy_set_header X-A $secret; proxy_set_header X-B $http_x; proxy_pass http://shop; }"
    draft = imported("", text)
    assert _said(draft) == ["proxy_set_header X-A ...", "proxy_set_header X-B ..."]


def test_a_header_in_a_condition_is_named_and_its_value_is_not_shown(imported: Import) -> None:
    text = 'location / { if ($http_x_key = "hush") { set $a 1; } proxy_pass http://shop; }'
    assert "hush" not in render(imported("", text))


def test_a_part_of_a_split_that_comes_twice_counts_whole(imported: Import) -> None:
    http = """upstream a { server 10.0.0.1:80; } upstream b { server 10.0.0.2:80; }
        split_clients $remote_addr $v { 0.5% b; 10% b; * a; }
        server { location / { proxy_pass http://a; } location /s/ { proxy_pass http://$v; } }"""
    draft = imported(http)
    content = next(route.content for route in draft.routes if "candidate" in route.content)
    assert (content["candidate"], content["share"], draft.not_carried) == ("b", "10.5%", ())


def test_a_break_beside_a_uri_is_listed_because_a_route_has_one_rewrite(imported: Import) -> None:
    text = "proxy_set_header Host $host; location /u/ { rewrite ^/u/x$ /y break; proxy_pass http://shop/z/; }"
    draft = imported("", text)
    assert _only(draft)["rewrite"] == {"prefix": "/z", "sides": "both"}
    assert _said(draft) == ["rewrite ^/u/x$ /y break"]


@pytest.mark.parametrize(
    "text",
    [
        "location / { return ² x; } location /a { proxy_pass http://shop; }",
        f"location / {{ proxy_read_timeout {'9' * 5000}s; proxy_pass http://shop; }}",
        f"location / {{ return {'9' * 5000}; }}",
    ],
)
def test_numbers_that_are_none_are_listed_and_not_stumbled_over(imported: Import, text: str) -> None:
    assert imported("", text).not_carried


def test_a_thousand_locations_of_one_name_each_have_their_own(imported: Import) -> None:
    text = " ".join(f"location = /a{'-' * number} {{ return 204; }}" for number in range(1000))
    content = imported("", text).content()
    assert len({route["name"] for route in content["routes"]}) == 1000


@pytest.mark.parametrize("seed", range(20))
def test_a_directive_that_nobody_knows_is_listed_wherever_it_stands(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = SHOP.read_text().split("\n")
    places = [number for number, line in enumerate(lines) if line.rstrip().endswith((";", "{"))]
    added = sorted(chance.sample(places, 5), reverse=True)
    for number in added:
        block = chance.random() < 0.3
        lines.insert(number + 1, f"zz_{number} on" + (f" {{ zz_inner_{number} 1; }}" if block else ";"))
    conf = tmp_path / "nginx.conf"
    conf.write_text("\n".join(lines))
    text = conf.read_text()
    listed = {each.what.split()[0] for each in import_nginx(conf).not_carried}
    assert set(re.findall(r"zz_\w+", text)) <= listed


_TEXT = """
location server { } { } ; ; / /a/ ~ ^~ = proxy_pass http://a $x return 301 rewrite ( [ permanent break upstream a
server_name *.b split_clients 5% * set $v proxy_set_header Host add_header limit_except GET deny all listen 80
client_max_body_size 1m proxy_read_timeout 5s '' "x_y" unix:/a https://b/c include nginx.conf if {**} ${ é
"""
_WORDS = tuple(_TEXT.split())


@pytest.mark.parametrize("seed", range(100))
def test_words_in_any_order_are_refused_in_words_or_become_rules_that_load(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    words = [chance.choice(_WORDS) for _ in range(chance.randint(1, 40))]
    body = " ".join(words)
    body += " ;" + "}" * (body.count("{") - body.count("}")) if chance.random() < 0.7 else ""
    conf = tmp_path / "nginx.conf"
    root = "upstream a { server 10.0.0.1:80; } server { location / { proxy_pass http://a; } }"
    conf.write_text(f"http {{ {root} {body} }}")
    try:
        draft = import_nginx(conf)
    except ImportFailed as exc:
        assert str(exc)
        return
    rulebook_of(draft, tmp_path)

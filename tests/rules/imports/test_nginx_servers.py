"""nginx's upstream blocks and https to services, as services with several URLs, limits and TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.rulebook import load
from rules.imports.draft import Draft, render
from rules.imports.nginx import import_nginx

Import = Callable[..., Draft]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """The draft of a configuration with one location that passes everything to `passed`; it must load as rules."""

    def imported(upstreams: str, passed: str = "http://shop", more: str = "") -> Draft:
        conf = tmp_path / "nginx.conf"
        conf.write_text(f"http {{ {upstreams} server {{ {more} location / {{ proxy_pass {passed}; }} }} }}")
        draft = import_nginx(conf)
        file = tmp_path / "draft.yaml"
        file.write_text(render(draft))
        assert set(load(file, {}).rules.services) == set(draft.services)
        return draft

    return imported


def shop(servers: str) -> str:
    return f"upstream shop {{ {servers} }}"


def only(draft: Draft) -> Any:
    (service,) = draft.services.values()
    return service


def said(draft: Draft) -> list[str]:
    return [each.what for each in draft.not_carried]


def test_every_server_of_an_upstream_is_a_url(imported: Import) -> None:
    draft = imported(shop("server 10.0.0.1:8080; server a.example; server [::1]; server 10.0.0.1:8081;"))
    urls = ["http://10.0.0.1:8080", "http://a.example:80", "http://[::1]:80", "http://10.0.0.1:8081"]
    assert draft.services == {"shop": {"urls": urls}}
    assert draft.not_carried == ()


def test_a_server_that_is_down_or_alone_leaves_one_url(imported: Import) -> None:
    draft = imported(shop("server 10.0.0.1:8080; server 10.0.0.2:8080 down;"))
    assert draft.services == {"shop": {"url": "http://10.0.0.1:8080"}}
    assert draft.not_carried == ()


@pytest.mark.parametrize(
    ("servers", "line"),
    [
        ("server a:1; server b:1 backup;", "server b:1 backup"),
        ("server a:1; server unix:/run/b.sock;", "server unix:/run/b.sock"),
        ("server a:1; server A:1 weight=2;", "server A:1 weight=2"),
        ("server a:1; server b/c;", "server b/c"),
    ],
)
def test_a_server_that_fig_cannot_ask_is_left_out_and_listed(imported: Import, servers: str, line: str) -> None:
    draft = imported(shop(servers))
    assert draft.services == {"shop": {"url": "http://a:1"}}
    assert said(draft) == [line]


def test_without_a_server_that_can_be_asked_there_is_no_route(imported: Import) -> None:
    servers = shop("server unix:/a; server b:1 down; server c:1 backup;")
    draft = imported(servers, more="location /other/ { return 204; }")
    assert "shop" not in draft.services
    assert [each.why for each in draft.not_carried if each.what.startswith("proxy_pass")] == [
        "the upstream shop names no server that fig can ask"
    ]


@pytest.mark.parametrize("how", ["least_conn;", "random two least_conn;", "random two;"])
def test_the_least_busy_is_chosen_where_nginx_does_it_too(imported: Import, how: str) -> None:
    draft = imported(shop(f"{how} server a:1; server b:1;"))
    assert only(draft)["balance"] == "least_requests"
    assert draft.not_carried == ()


@pytest.mark.parametrize("how", ["ip_hash;", "hash $request_uri;", "random;"])
def test_another_way_of_choosing_is_listed_and_each_is_asked_in_turn(imported: Import, how: str) -> None:
    draft = imported(shop(f"{how} server a:1; server b:1;"))
    assert "balance" not in only(draft)
    assert said(draft) == [how.rstrip(";")]


@pytest.mark.parametrize(
    ("options", "more", "listed"),
    [
        (("max_conns=50", "max_conns=50"), {"max_connections": 50}, 0),
        (("max_conns=50", ""), {}, 1),
        (("max_fails=0", "max_fails=0"), {"ejection": "off"}, 0),
        (("max_fails=3 fail_timeout=5s", ""), {}, 1),
        (("weight=1", "resolve"), {}, 0),
        (("weight=3", ""), {}, 1),
        (("slow_start=30s", ""), {}, 1),
    ],
)
def test_what_all_servers_say_alike_is_the_services(
    imported: Import, options: tuple[str, str], more: dict[str, Any], listed: int
) -> None:
    draft = imported(shop(f"zone z 64k; server a:1 {options[0]}; server b:1 {options[1]};"))
    assert only(draft) == {"urls": ["http://a:1", "http://b:1"]} | more
    assert len(draft.not_carried) == listed


def test_https_is_carried_as_nginx_speaks_it_which_believes_every_certificate(imported: Import) -> None:
    draft = imported("", "https://pay.example")
    assert draft.services == {"pay.example": {"url": "https://pay.example:443", "tls": {"verify": False}}}
    assert draft.not_carried == ()


def test_servers_behind_https_without_a_port_are_asked_at_80_as_nginx_does(imported: Import) -> None:
    draft = imported(shop("server a:8443; server b;"), "https://shop")
    assert only(draft)["urls"] == ["https://a:8443", "https://b:80"]


def test_a_checked_certificate_is_checked_by_the_same_authorities_and_name(imported: Import) -> None:
    more = "proxy_ssl_verify on; proxy_ssl_verify_depth 2; proxy_ssl_trusted_certificate /etc/ca.pem;"
    draft = imported(shop("server a:8443; server b:8443;"), "https://shop", more)
    assert only(draft)["tls"] == {"server_name": "shop", "ca": "/etc/ca.pem"}
    assert said(draft) == ["proxy_ssl_verify_depth 2"]
    named = imported(shop("server a:8443;"), "https://shop", more + "proxy_ssl_name pay.example;")
    assert only(named)["tls"] == {"server_name": "pay.example", "ca": "/etc/ca.pem"}


def test_the_innermost_setting_counts_and_a_certificate_of_our_own_goes_along(imported: Import) -> None:
    files = "proxy_ssl_certificate /etc/a.pem; proxy_ssl_certificate_key /etc/a.key;"
    upstreams = f"{shop('server a:8443;')} proxy_ssl_verify on;"
    draft = imported(upstreams, "https://shop", f"proxy_ssl_verify off; proxy_ssl_server_name on; {files}")
    tls = {"verify": False, "server_name": "shop", "certificate": "/etc/a.pem", "key": "/etc/a.key"}
    assert only(draft)["tls"] == tls
    assert draft.not_carried == ()


def test_files_by_half_a_path_are_listed(imported: Import) -> None:
    more = "proxy_ssl_certificate certs/a.pem; proxy_ssl_certificate_key certs/a.key;"
    draft = imported("", "https://pay.example", more)
    assert only(draft)["tls"] == {"verify": False}
    assert said(draft) == ["proxy_ssl_certificate certs/a.pem"]


def test_one_upstream_by_http_and_by_https_is_two_services(imported: Import) -> None:
    draft = imported(shop("server a:1;"), more="location /s/ { proxy_pass https://shop; }")
    assert {name: service["url"] for name, service in draft.services.items()} == {
        "shop": "https://a:1",
        "shop-2": "http://a:1",
    }

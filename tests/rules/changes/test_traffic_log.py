from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.changes.traffic_log import LogFormat, Logged, MalformedError, PassedOver, canonical, detect, reader_of

COMBINED = '203.0.113.9 - - [22/Nov/2026:13:00:00 +0000] "GET /orders/7?page=2 HTTP/1.1" 200 512'
ALB = (
    "https 2026-11-22T13:00:00.000000Z app/shop/0123456789abcdef 203.0.113.9:51234 10.0.0.5:80 0.001 0.020 0.000 "
    '200 200 34 366 "GET https://shop.example:443/orders/7?page=2 HTTP/1.1" "curl/8.5.0" ECDHE-RSA TLSv1.2 arn:aws:x '
    '"Root=1-6" "shop.example" "-" 0 2026-11-22T13:00:00.000000Z "forward" "-" "-" "10.0.0.5:80" "200" "-" "-"'
)
FIG = json.dumps(
    {
        "event": "exchange",
        "request_id": "1",
        "client": "203.0.113.9",
        "method": "GET",
        "host": "shop.example",
        "path": "/orders/7",
        "route": "orders",
        "status": 200,
    }
)


def read(line: str, format_: LogFormat = LogFormat.COMBINED) -> Logged:
    return reader_of(format_)(line)


def test_a_line_of_the_common_format() -> None:
    assert read(COMBINED) == Logged("GET", "", None, "/orders/7", "page=2", "203.0.113.9")


@pytest.mark.parametrize(
    "behind",
    [
        ' "-" "Mozilla/5.0 (X11; Linux x86_64)"',
        ' "https://shop.example/" "curl/8.5.0" "198.51.100.7"',
        ' "-" "an \\"agent\\" of its own" rt=0.020 uct="0.001" - .',
    ],
)
def test_the_combined_format_and_whatever_follows_it(behind: str) -> None:
    assert read(COMBINED + behind) == read(COMBINED)


def test_the_host_before_the_line_where_apache_writes_it() -> None:
    found = read("Shop.example:8443 " + COMBINED)
    assert (found.host, found.port, found.client) == ("shop.example", 8443, "203.0.113.9")


@pytest.mark.parametrize("user", ["-", "jane", "jane doe", "jane - doe"])
def test_a_users_name_may_hold_blanks(user: str) -> None:
    line = COMBINED.replace("- - [", f"- {user} [")
    assert read(line) == read(COMBINED)


def test_clients_are_named_as_fig_names_them() -> None:
    assert read(COMBINED.replace("203.0.113.9", "::ffff:203.0.113.9")).client == "203.0.113.9"
    assert read(COMBINED.replace("203.0.113.9", "2001:DB8:0:0::7")).client == "2001:db8::7"
    assert read(COMBINED.replace("203.0.113.9", "client.example")).client == "client.example"


def test_escapes_of_apache_and_nginx_are_read() -> None:
    line = COMBINED.replace("/orders/7", '/a\\x22b\\"c\\\\d/\\xC3\\xA9')
    assert read(line).path == '/a"b"c\\d/\xc3\xa9'


def test_a_request_for_a_whole_url_names_its_host() -> None:
    line = COMBINED.replace("GET /orders", "GET http://Shop.example:8080/orders")
    assert read(line)[1:4] == ("shop.example", 8080, "/orders/7")


def test_a_line_of_a_load_balancer() -> None:
    assert read(ALB, LogFormat.ALB) == Logged(
        "GET", "shop.example", None, "/orders/7", "page=2", "203.0.113.9", "https"
    )


def test_a_load_balancers_target_that_never_answered() -> None:
    line = ALB.replace("10.0.0.5:80 0.001 0.020 0.000 200 200", "- -1 -1 -1 502 -")
    assert read(line, LogFormat.ALB).path == "/orders/7"


def test_a_line_of_figs_own() -> None:
    assert read(FIG, LogFormat.FIG) == Logged("GET", "shop.example", None, "/orders/7", None, "203.0.113.9")


def test_what_the_access_log_writes_is_read() -> None:
    """The names of the fields are those that proxy/worker/access.py writes."""
    from inspect import getsource

    from proxy.worker import access

    for name in ("client", "method", "host", "path"):
        assert f'"{name}": ' in getsource(access)
    assert 'log.info("exchange"' in getsource(access)


def test_other_events_of_figs_are_passed_over() -> None:
    with pytest.raises(PassedOver):
        read('{"event": "reload", "process": "control"}', LogFormat.FIG)


@pytest.mark.parametrize(
    ("line", "format_", "why"),
    [
        ("", LogFormat.COMBINED, "no line of the Common"),
        ("what is this", LogFormat.COMBINED, "no line of the Common"),
        (COMBINED.replace("GET /orders/7?page=2 HTTP/1.1", "-"), LogFormat.COMBINED, "no request line"),
        (COMBINED.replace("GET /orders/7?page=2", "\\x16\\x03\\x01"), LogFormat.COMBINED, "no request line"),
        (ALB[:80], LogFormat.ALB, "no line of an Application Load Balancer"),
        (ALB.replace("GET https://shop.example:443/orders/7?page=2", "- -"), LogFormat.ALB, "no request line"),
        ("{", LogFormat.FIG, "no JSON"),
        ("[" * 5000 + "]" * 5000, LogFormat.FIG, "no JSON"),
        ('{"event": "\xff"}', LogFormat.FIG, "no JSON"),
        ('{"event": "\u20ac"}', LogFormat.FIG, "no JSON"),
        ("[1]", LogFormat.FIG, "no line of fig's"),
        ('{"event": "exchange", "method": 7}', LogFormat.FIG, "not all there"),
    ],
)
def test_a_malformed_line_is_refused_and_not_quoted(line: str, format_: LogFormat, why: str) -> None:
    with pytest.raises(MalformedError, match=why) as caught:
        read(line, format_)
    assert not line.strip() or line not in str(caught.value)


@pytest.mark.parametrize(("line", "format_"), [(COMBINED, "combined"), (ALB, "alb"), (FIG, "fig")])
def test_a_format_is_told_from_the_first_lines(line: str, format_: str) -> None:
    assert detect(["", "rubbish", *[line] * 3]) == LogFormat(format_)


def test_lines_of_no_format_are_told_as_such() -> None:
    assert detect(["rubbish"] * 30) is None
    assert detect([]) is None


@given(st.text(max_size=200), st.sampled_from(LogFormat))
def test_no_line_does_more_than_be_malformed(line: str, format_: LogFormat) -> None:
    with contextlib.suppress(MalformedError, PassedOver):
        read(line, format_)


@given(st.text(st.characters(codec="latin-1", exclude_characters='"\\ '), min_size=1, max_size=40))
def test_any_target_in_a_good_line_is_read_or_malformed(target: str) -> None:
    try:
        found = read(COMBINED.replace("/orders/7?page=2", "/" + target))
    except MalformedError:
        return
    assert found.path.startswith("/")


def test_a_text_that_is_no_address_stays() -> None:
    assert canonical("unknown") == "unknown"

"""A service in the rules file: its endpoints, TLS, care and limits; and what each slip is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rulebook import load, schema
from rules.document import Rules
from rules.effective import Effective, read_effective
from rules.endpoint import Endpoint, parse_endpoint
from rules.problems import RulesError
from rules.reading.nodes import parse, plain
from rules.service import Service
from rules.service_care import CircuitBreaker, Ejection, HealthCheck, parse_statuses
from tests.fakes.json_schema import faults

SCHEMA = schema()


def service(text: str) -> Service:
    root, problems = parse(text, "example")
    assert root is not None
    assert not problems
    return Service.model_validate(plain(root))


def problems_of(folder: Path, text: str) -> list[str]:
    """Of a service whose block begins in column 6 of line 3."""
    file = folder / "fig.yaml"
    file.write_text(f"version: 1\nservices:\n  a: {text}\nlegacy: a\n")
    with pytest.raises(RulesError) as caught:
        load(file)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("url", "endpoint", "authority"),
    [
        ("http://127.0.0.1:9001", Endpoint("127.0.0.1", 9001, False), "127.0.0.1:9001"),
        ("http://Shop.Example/", Endpoint("shop.example", 80, False), "shop.example"),
        ("http://shop.example:80", Endpoint("shop.example", 80, False), "shop.example"),
        ("http://shop.example:443", Endpoint("shop.example", 443, False), "shop.example:443"),
        ("https://shop.example", Endpoint("shop.example", 443, True), "shop.example"),
        ("https://shop.example:80", Endpoint("shop.example", 80, True), "shop.example:80"),
        ("https://[::1]:9443", Endpoint("::1", 9443, True), "[::1]:9443"),
        ("http://[2001:db8::1]", Endpoint("2001:db8::1", 80, False), "[2001:db8::1]"),
    ],
)
def test_a_url_is_an_endpoint_with_its_own_authority(url: str, endpoint: Endpoint, authority: str) -> None:
    found = Service(url=url)
    assert found.endpoints == (endpoint,)
    assert endpoint.authority == authority
    assert parse_endpoint(endpoint.url) == endpoint


def test_several_urls_are_endpoints_in_the_order_of_the_file() -> None:
    found = service("{urls: ['http://b:1', 'http://a:2', 'http://c']}")
    assert [each.authority for each in found.endpoints] == ["b:1", "a:2", "c"]
    assert found.where == "http://b:1 http://a:2 http://c"


@pytest.mark.parametrize(
    "host",
    ["", "a,b", 'a"b', "a%41", "[fe80::1%25eth0]", "[::g]", "[1.2.3.4]", "-a", "a-", "b" * 255, "caf\xe9", "a\\b"],
)
def test_a_host_that_no_host_line_may_hold_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (service's )?URL; write it like http://127[.]0[.]0[.]1:9001"):
        parse_endpoint(f"http://{host}:9001")


@pytest.mark.parametrize("url", ["http://u:hush@h", "http://u:hush@[h", "ftp://u:hush@h", "http://u:hush@h:99999"])
def test_a_password_in_a_url_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="has a host and a port only") as caught:
        parse_endpoint(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("host", ["a.", "a_b.internal", "xn--caf-dma.example", "1.2.3.4", "a--b", "[::ffff:1.2.3.4]"])
def test_a_host_that_resolvers_take_is_taken(host: str) -> None:
    assert parse_endpoint(f"http://{host}:9001").authority == f"{host}:9001"


MANY = ", ".join(f"'http://a:{number}'" for number in range(1, 66))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{timeout: 1s}", "3:6: 'a': has no URL; give 'url: http://host:port', or 'urls' with several"),
        ("{url: http://b, urls: ['http://c']}", "3:6: 'a': 'url' and 'urls' cannot stand together; move the one URL"),
        ("{urls: []}", "3:13: 'urls': needs at least 1 of them"),
        (f"{{urls: [{MANY}]}}", "3:13: 'urls': "),
        ("{urls: http://b}", "3:13: 'urls': must be a list, not 'http://b'"),
        ("{urls: ['http://b', 'ftp://c']}", "3:26: 'urls': 'ftp://c' is not a service's URL; write it like"),
        ("{urls: ['http://b', 'https://c']}", "3:6: 'a': 'urls' has http and https; all of a service are one or"),
        ("{urls: ['http://B', 'http://c', 'http://b:80/']}", "3:6: 'a': 'urls' has http://b twice; remove one"),
        ("{url: http://b, tls: {}}", "3:6: 'a': 'tls' has no meaning for http; write https in the URL, or remove"),
        ("{url: https://b, tls: {ca: ca.pem}}", "3:33: 'ca': 'ca.pem' is not the whole path of a file; write it like"),
        ("{url: https://b, tls: {key: /k}}", "3:28: 'tls': 'key' needs 'certificate': the two belong together"),
        ("{url: https://b, tls: {verify: 'no'}}", "3:37: 'verify': must be true or false, not 'no'"),
        ("{url: https://b, tls: {verify: false, ca: /c}}", "3:28: 'tls': 'ca' has no meaning with 'verify: false'"),
        ("{url: https://b, tls: {server_name: 'a b'}}", "3:42: 'server_name': 'a b' is not a server's name; write it"),
        ("{url: https://b, tls: {servername: b}}", "3:29: unknown key 'servername'; did you mean 'server_name'?"),
        ("{url: http://b, balance: least_conn}", "3:31: 'balance': must be 'round_robin' or 'least_requests', not"),
        ("{url: http://b, health: healthz}", "3:30: 'health': 'healthz' is not a path; write it like /healthz"),
        ("{url: http://b, health: {every: 1s}}", "3:30: the key 'path' is missing in 'health'"),
        ("{url: http://b, health: {path: /, every: 5}}", "3:47: 'every': 5 is not a duration; write it like 250ms"),
        ("{url: http://b, health: {path: /, timeout: 9s}}", "3:30: 'health': 'timeout' must not be longer than"),
        ("{url: http://b, health: {path: /, status: 2x}}", "3:48: 'status': '2x' is not a status; write it like 204"),
        ("{url: http://b, health: {path: /, status: [399-200]}}", "3:48: 'status': '399-200' holds no status; write"),
        ("{url: http://b, health: {path: /, host: 'a/b'}}", "3:46: 'host': 'a/b' is not a host; write it like"),
        ("{url: http://b, ejection: on}", "3:32: 'ejection': must be "),
        ("{url: http://b, ejection: {consecutive_5x: 1}}", "3:33: unknown key 'consecutive_5x'; did you mean 'conse"),
        ("{url: http://b, ejection: {consecutive_5xx: 0}}", "3:50: 'consecutive_5xx': must be greater than or equal"),
        ("{url: http://b, ejection: {interval: 0s}}", "3:43: 'interval': must be greater than 0"),
        (
            "{url: http://b, ejection: {base_ejection_time: 30s, max_ejection_time: 20s}}",
            "3:32: 'ejection': 'max_ejection_time' must not be shorter than 'base_ejection_time'",
        ),
        ("{url: http://b, breaker: {consecutive: off}}", "3:31: 'breaker': never opens; give 'consecutive', 'rate' or"),
        ("{url: http://b, breaker: {over: 20s}}", "3:31: 'breaker': 'over' has no meaning without 'rate'; give 'rate:"),
        ("{url: http://b, breaker: {rate: 0%}}", "3:38: 'rate': must be greater than 0"),
        ("{url: http://b, breaker: {rate: 50}}", "3:38: 'rate': 50 is not a fraction; write it like 99.99%"),
        ("{url: http://b, breaker: {open_for: 9s, max_open_for: 5s}}", "3:31: 'breaker': 'max_open_for' must not be"),
        ("{url: http://b, max_requests: 0}", "3:36: 'max_requests': must be greater than or equal to 1, not 0"),
        ("{url: http://b, max_age: 1h30m}", "3:31: 'max_age': "),
        ("{url: http://b, resolve: 5ms}", "3:31: 'resolve': "),
    ],
)  # fmt: skip
def test_a_slip_is_one_problem_with_its_place_and_its_mend(tmp_path: Path, text: str, problem: str) -> None:
    found = problems_of(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(problem), found[0]


@pytest.mark.parametrize(
    "text",
    [
        "{url: https://b, tls: {ca: /c.pem, server_name: B.example, certificate: /p.pem, key: /k.pem}}",
        "{urls: [http://b, http://c], balance: least_requests, ejection: off}",
        "{url: http://b, health: /up}",
        "{url: http://b, health: {path: /up, status: 200}}",
        "{url: http://b, health: {path: /up, status: [200-399, 4xx, 500], healthy: 1, host: a.example}}",
        "{urls: [http://b, http://c], ejection: {consecutive_5xx: off, success_rate: off, failure_percentage: {}}}",
        "{urls: [http://b, http://c], ejection: {success_rate: {stdev_factor: 2}, consecutive_gateway_failure: 5}}",
        "{url: http://b, breaker: {}}",
        "{url: http://b, breaker: {consecutive: off, rate: 50%, over: 30s, at_least: 5, probes: 3}}",
        "{url: http://b, max_age: off, resolve: off, max_requests: 12000, max_connections: 12000, max_pending: 0}",
    ],
)
def test_what_loads_validates_and_comes_back_from_the_effective_table(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text(f"version: 1\nservices:\n  a: {text}\nlegacy: a\n")
    rules = load(file).rules
    root, _ = parse(file.read_text(), "example")
    assert root is not None
    assert list(faults(plain(root), SCHEMA, SCHEMA)) == []
    table = Effective(generation=1, rules=rules)
    assert read_effective(table.pointer, iter(table.lines())).rules == rules


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{timeout: 1s}", "/services/a"),
        ("{urls: []}", "/services/a"),
        ("{url: http://b, balance: random}", "/services/a/balance"),
        ("{url: http://b, health: {every: 1s}}", "/services/a/health"),
        ("{url: http://b, ejection: {consecutive_5xx: no}}", "/services/a/ejection"),
        ("{url: http://b, breaker: {probes: 0}}", "/services/a/breaker/probes"),
    ],
)
def test_a_slip_does_not_validate_either(text: str, where: str) -> None:
    root, _ = parse(f"version: 1\nservices: {{a: {text}}}\nlegacy: a\n", "example")
    assert root is not None
    assert any(fault.startswith(where) for fault in faults(plain(root), SCHEMA, SCHEMA))


def test_only_several_urls_are_ejected_and_off_means_never() -> None:
    assert service("{url: 'http://a', ejection: {consecutive_5xx: 3}}").ejects is None
    assert service("{urls: ['http://a']}").ejects is None
    assert service("{urls: ['http://a', 'http://b']}").ejects == Ejection()
    assert service("{urls: ['http://a', 'http://b'], ejection: off}").ejects is None


def test_the_defaults_of_ejection_are_envoys() -> None:
    one = Ejection()
    assert (one.consecutive_5xx, one.consecutive_gateway_failure, one.failure_percentage) == (5, "off", "off")
    assert (one.interval, one.base_ejection_time, one.max_ejection_time, one.max_ejection_percent) == (10, 30, 300, 0.1)
    assert one.success_rate != "off"
    rate = one.success_rate
    assert (rate.stdev_factor, rate.minimum_endpoints, rate.request_volume) == (1.9, 5, 100)


def test_a_longer_base_time_alone_is_the_longest() -> None:
    assert Ejection.model_validate({"base_ejection_time": "10m"}).longest == 600
    assert CircuitBreaker.model_validate({"open_for": "2m"}).longest == 120


@pytest.mark.parametrize(
    ("block", "in_a_row"),
    [({}, 5), ({"rate": "50%"}, None), ({"rate": "50%", "consecutive": 3}, 3), ({"consecutive": 9}, 9)],
)
def test_a_rate_alone_counts_no_rows(block: dict[str, Any], in_a_row: int | None) -> None:
    assert CircuitBreaker.model_validate(block).in_a_row == in_a_row


def test_a_health_path_is_a_block_with_the_path() -> None:
    assert service("{url: 'http://a', health: /up}").health == HealthCheck(path="/up")
    assert HealthCheck(path="/up").good == frozenset(range(200, 300))
    mixed = service("{url: 'http://a', health: {path: /up, status: [204, 300-302, 4xx]}}").health
    assert mixed is not None
    assert mixed.good == {204, 300, 301, 302, *range(400, 500)}


@given(st.integers(100, 599), st.integers(100, 599))
def test_a_range_of_statuses_holds_both_ends(first: int, last: int) -> None:
    if last < first:
        with pytest.raises(ValueError, match="holds no status"):
            parse_statuses(f"{first}-{last}")
    else:
        assert list(parse_statuses(f"{first}-{last}")) == list(range(first, last + 1))
    assert list(parse_statuses(str(first))) == [first]


def test_services_are_compared_by_what_they_say() -> None:
    """Endpoints are read once and kept; that must not make two of the same services differ."""
    one, other = service("{url: 'http://a'}"), service("{url: 'http://a'}")
    assert one.endpoints
    assert Rules(version=1, services={"a": one}, legacy="a") == Rules(version=1, services={"a": other}, legacy="a")

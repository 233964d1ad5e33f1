from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.frames import MAX_FRAME
from proxy.rulebook import Rulebook, load
from rules.document import MOST_BODY
from rules.problems import RulesError
from rules.stages import Stage

DESIGN = Path(__file__).parents[1] / "design.yaml"

GOOD = """\
version: 1
services:
  legacy: {url: http://127.0.0.1:9000}
  orders: {url: http://127.0.0.1:9001}
legacy: legacy
routes:
  - name: orders
    match: {path: /orders/**, methods: [GET]}
    candidate: orders
"""

TEN_FAULTS = """\
version: 1
services:
  legacy:   {url: http://127.0.0.1:9000}
  products: {url: ftp://127.0.0.1, timeout: 2}
  legacy:   {url: http://127.0.0.1:9009}
legacy: legcy
routes:
  - name: products
    match: {path: /api/products**, methods: [GET]}
    candidat: products
    stage: canry
  - name: products
    match: {path: '/api/checkout/{order}', methods: [GET, POST]}
    candidate: products
    fallback: legacy
    writes: {order_by: path:ordr}
"""


def problems_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "fig.yaml"
    file.write_text(text)
    with pytest.raises(RulesError) as caught:
        load(file)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def loaded(tmp_path: Path, text: str) -> Rulebook:
    (tmp_path / "fig.yaml").write_text(text)
    return load(tmp_path / "fig.yaml")


def warnings_of(tmp_path: Path, text: str) -> list[str]:
    return [str(warning).removeprefix(f"{tmp_path}/") for warning in loaded(tmp_path, text).warnings]


def test_ten_faults_are_ten_located_problems(tmp_path: Path) -> None:
    lines = problems_of(tmp_path, TEN_FAULTS)
    assert [line.replace(f"{tmp_path}/", "") for line in lines] == [
        "fig.yaml:4:19: 'url': 'ftp://127.0.0.1' is not a service's URL; write it like http://127.0.0.1:9001",
        "fig.yaml:4:45: 'timeout': 2 is not a duration; write it like 250ms, 2s, 10m, 24h or 7d",
        "fig.yaml:5:3: duplicate key 'legacy' (first in line 3); remove one of them",
        "fig.yaml:6:9: 'legacy': no service is named 'legcy'; did you mean 'legacy'?",
        "fig.yaml:9:19: route 'products': 'path': in 'products**': '*' and '{name}' stand for a whole segment, "
        "and a name is letters, digits and _",
        "fig.yaml:10:5: route 'products': unknown key 'candidat'; did you mean 'candidate'?",
        "fig.yaml:11:12: route 'products': 'stage': must be 'legacy', 'shadow', 'canary', 'live' or 'retired', "
        "not 'canry'; did you mean 'canary'?",
        "fig.yaml:12:11: duplicate route name 'products' (first at fig.yaml:8:11); give each route its own",
        "fig.yaml:15:5: route 'products': 'fallback' cannot stand with 'writes': "
        "a journaled write never goes to the other side; remove one",
        "fig.yaml:16:24: route 'products': 'order_by': the path /api/checkout/{order} names no '{ordr}'; "
        "did you mean 'order'?",
    ]


def test_the_example_of_the_design_loads() -> None:
    book = load(DESIGN)
    products, checkout = book.rules.routes
    assert (products.stage, products.shadow.sample, products.fallback) == (Stage.CANARY, 100_000, "legacy")
    assert checkout.writes is not None
    assert (checkout.writes.order_by, checkout.writes.max_body, checkout.shadow.keep) == ("path:order", 1 << 20, 86_400)
    assert book.rollouts["products"].shares == (10_000, 50_000, 250_000, 500_000, 950_000)
    assert book.certificates["checkout"].pairs == 200_000
    assert list(book.gates) == ["storefront"]
    assert list(book.comparisons) == ["catalog"]
    # The example leaves its comparison 'orders' out; nothing is excused then, which is worth a word and no refusal.
    assert [warning.code for warning in book.warnings] == ["unknown-comparison"]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("version: 1\n", "", "1:1: the key 'version' is missing"),
        ("version: 1", "version: 2", "1:10: 'version': must be 1, not 2"),
        ("version: 1", "version: '1'", "1:10: 'version': must be 1, not '1'"),
        ("- name: orders\n    match", "- match", "7:5: the key 'name' is missing"),
        ("name: orders", "name:", "7:5: nothing follows 'name'; write a value"),
        (
            "name: orders",
            "name: or ders",
            "7:11: route 'or ders': 'name': 'or ders' is not a name; use 1 to 64 letters",
        ),
        ("name: orders", "name: '-'", "7:11: route '-': 'name': '-' is not a name; use 1 to 64 letters"),
        (
            "candidate: orders",
            "candidate: order",
            "9:16: route 'orders': 'candidate': no service is named 'order'; did you",
        ),
        ("[GET]", "get", "8:40: route 'orders': 'methods': methods are case-sensitive; write GET"),
        ("[GET]", "[get]", "8:41: route 'orders': 'methods': methods are case-sensitive; write GET"),
        ("[GET]", "[]", "8:40: route 'orders': 'methods': names no method, so the route takes no request"),
        ("/orders/**", "orders", "8:19: route 'orders': 'path': a path begins with '/'; write '/orders'"),
        (
            "/orders/**",
            "/caf\u00e9",
            "8:19: route 'orders': 'path': 'caf\u00e9' never matches, because fig sees the path",
        ),
        ("/orders/**", "/a/../b", "8:19: route 'orders': 'path': '..' never matches: fig refuses or resolves such"),
        (
            "/orders/**",
            "/a//b",
            "8:19: route 'orders': 'path': an empty segment ('//') never matches, because fig merges",
        ),
        ("/orders/**", "/**/b", "8:19: route 'orders': 'path': '**' may stand only at the end of a path"),
        ("/orders/**", "'/{a}/{a}'", "8:19: route 'orders': 'path': '{a}' stands twice in the path; give each segment"),
        (
            "/orders/**",
            "/{a}",
            "8:20: not YAML: did not find expected ',' or '}' while parsing a flow mapping; a path with",
        ),
        (
            "path:",
            "host: 'a b', path:",
            "8:19: route 'orders': 'host': 'a b' is not a host; write it like shop.example",
        ),
        (
            "path: /orders/**, methods: [GET]",
            "",
            "8:12: route 'orders': 'match': asks nothing; give host, path, methods, h",
        ),
        (
            "methods: [GET]",
            "headers: {x-a: {prefx: a}}",
            "8:47: route 'orders': unknown key 'prefx'; did you mean 'prefix'?",
        ),
        (
            "methods: [GET]",
            "headers: {x-a: 1}",
            "8:46: route 'orders': 'x-a': must be text in quotes, or a mapping such as",
        ),
        ("methods: [GET]", "headers: {'x a': b}", "8:41: route 'orders': 'x a': 'x a' is not a header name"),
        (
            "methods: [GET]",
            "headers: {x-a: {regex: '(a'}}",
            "8:54: route 'orders': 'regex': not a regular expression (RE2)",
        ),
        (
            "methods: [GET]",
            "headers: {x-a: {}}",
            "8:46: route 'orders': 'x-a': asks nothing; give exact, prefix, suffix",
        ),
        (
            "",
            "    writes:",
            "10:5: route 'orders': nothing follows 'writes'; write a value (a mapping with all defaults is {})",
        ),
        ("path: /orders/**, methods: [GET]", "host: ", "8:13: route 'orders': nothing follows 'host'; write a value"),
        (
            "methods: [GET]",
            "headers: {X-A: a, x-a: b}",
            "8:40: route 'orders': 'headers': names the header 'x-a' twice",
        ),
        ("", "    share: 5", "10:12: route 'orders': 'share': 5 is not a share; write it like 1%, 0.5% or 100%"),
        ("", "    unit: {}", "10:11: route 'orders': 'unit': needs exactly one of 'cookie: NAME', 'header: NAME' and"),
        (
            "",
            "    unit: {header: a, issue: true}",
            "10:11: route 'orders': 'unit': only a cookie can be issued; remove",
        ),
        ("", "    unit: {cookie: a, issue: yes}", "10:30: route 'orders': 'issue': must be true or false, not 'yes'"),
        ("", "    rolout: {}", "10:5: route 'orders': unknown key 'rolout'; did you mean 'rollout'?"),
        (
            "",
            "    writes: {order_by: order}",
            "10:24: route 'orders': 'order_by': 'order' names no value here; write path:NAME",
        ),
        ("", "    rollout: {steps: [1%], gate: g}", "10:34: route 'orders': 'gate': no gate is named 'g'"),
        (
            "",
            "    shadow: {certificate: {acuracy: 9%}}",
            "10:28: route 'orders': unknown key 'acuracy'; did you mean 'acc",
        ),
        (
            "",
            "gates: {g: {metrics: [{name: c, kind: rat}]}}",
            "10:39: 'kind': must be 'error_rate', 'latency',",
        ),
        (
            "",
            "gates:",
            "10:1: nothing follows 'gates'; write a value (a mapping with all defaults is {}), or remove the",
        ),
        ("", "gates: []", "10:8: 'gates': must be a mapping (name: {...})"),
        ("", "events: {e: {match: {path: /x}, status: 7xx}}", "10:41: 'status': must match pattern"),
        ("", "force: {header: x-side, token: short}", "10:32: 'token': a token has at least 16 printable characters"),
        ("", "force: {token: correct-horse-battery}", "10:8: 'force': needs 'header: NAME', 'cookie: NAME' or both"),
        ("", "rotes: []", "10:1: unknown key 'rotes'; did you mean 'routes'?"),
        ("url: http://127.0.0.1:9001", "url: ftp://a", "4:17: 'url': 'ftp://a' is not a service's URL; write it like"),
        ("url: http://127.0.0.1:9001", "url: http://a/b", "4:17: 'url': a service's URL has a host and a port only"),
        (
            "url: http://127.0.0.1:9001",
            "url: http://a:99999",
            "4:17: 'url': 'http://a:99999' is not a URL; write it like",
        ),
        ("9001}", "9001, timeout: 0s}", "4:49: 'timeout': must be greater than 0"),
    ],
)
def test_a_fault_is_one_problem_with_its_place_and_its_mend(
    tmp_path: Path, before: str, after: str, problem: str
) -> None:
    text = GOOD.replace(before, after) if before else GOOD + after + "\n"
    found = problems_of(tmp_path, text)
    assert [line[: len("fig.yaml:" + problem)] for line in found] == [f"fig.yaml:{problem}"]


def test_a_body_too_large_for_the_journal_is_a_problem_and_the_largest_that_fits_is_none(tmp_path: Path) -> None:
    text = GOOD.replace("GET]", "POST]") + "    writes: {max_body: 33MB}\n"

    (problem,) = problems_of(tmp_path, text)

    assert "'max_body': at most 32MB" in problem
    assert loaded(tmp_path, text.replace("33MB", "32MB")).rules.routes[0].writes
    assert MOST_BODY < MAX_FRAME


def test_an_unknown_event_of_a_gate_is_a_problem(tmp_path: Path) -> None:
    gates = "gates:\n  g: {metrics: [{name: c, kind: rate, event: paid, margin: 10%}]}\n"
    found = problems_of(tmp_path, GOOD + gates + "events:\n  pad: {match: {path: /x}}\n")
    assert found == ["fig.yaml:11:46: 'event': no event is named 'paid'; did you mean 'pad'?"]


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"missing.yaml:1:1: cannot be read: No such file or directory"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(RulesError, match=r"the folder holds no \*\.yaml file"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"version: 1\nlegacy: caf\xe9\n")
    with pytest.raises(RulesError, match=r"latin.yaml:2:12: not UTF-8 text"):
        load(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (GOOD.replace("/**", "/*"), "fig.yaml:8:19: warning: route 'orders': '*' is exactly one segment"),
        (GOOD + "    share: 5%\n", "fig.yaml:10:5: warning: route 'orders': 'share' without 'unit'"),
        (GOOD + "    stage: canary\n", "fig.yaml:10:5: warning: route 'orders': 'stage' without 'unit'"),
        (
            GOOD.replace("[GET]", "[GET, POST]") + "    stage: shadow\n",
            "fig.yaml:10:5: warning: route 'orders': takes writes, but has no 'writes'",
        ),
        (
            GOOD.replace("services:\n", "services:\n  spare: {url: http://127.0.0.1:1}\n"),
            "fig.yaml:3:3: warning: no route uses the service 'spare'",
        ),
        (
            GOOD + "    unit: {cookie: session, issue: true}\n",
            "fig.yaml:10:20: warning: route 'orders': fig would set the cookie 'session'",
        ),
        (
            GOOD + "    legacy: orders\n",
            "fig.yaml:9:16: warning: route 'orders': 'orders' is both legacy and candidate",
        ),
        (
            GOOD
            + "    unit: {address: true}\n    rollout: {steps: [1%], gate: g, watch: 1h}\n"
            + "gates:\n  g: {metrics: [{name: mean, kind: latency, margin: 10%}]}\n",
            "fig.yaml:11:44: warning: route 'orders': 'watch': gate 'g' has neither error_rate nor a quantile",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    found = warnings_of(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(warning)


def test_a_good_file_has_no_warnings(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, GOOD) == []


def test_a_folder_reads_as_one_file_in_the_order_of_names(tmp_path: Path) -> None:
    head, routes = GOOD.split("routes:\n")
    (tmp_path / "fig.yaml").write_text(head)
    (tmp_path / "routes").mkdir()
    for name in ("20-b", "10-a"):
        text = "routes:\n" + routes.replace("name: orders", f"name: {name}")
        (tmp_path / "routes" / f"{name}.yaml").write_text(text)
    assert [route.name for route in load(tmp_path).rules.routes] == ["10-a", "20-b"]


def test_what_two_files_of_a_folder_both_define_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("version: 1\nservices:\n  orders: {url: http://127.0.0.1:2}\n")
    with pytest.raises(RulesError) as caught:
        load(tmp_path)
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        "b.yaml:1:1: duplicate key 'version' (first at a.yaml:1:1); remove one of them",
        "b.yaml:3:3: duplicate key 'orders' (first at a.yaml:4:3); remove one of them",
    ]


@settings(max_examples=80)
@given(st.data())
def test_a_mangled_file_loads_or_says_where_it_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = DESIGN.read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.text("{}[]:,-&*<!'\"%#\n\t aZ09~", max_size=6)) + text[end:]
    file = tmp_path_factory.getbasetemp() / "mangled.yaml"
    file.write_text(text)
    try:
        load(file)
    except RulesError as exc:
        assert exc.problems
        lines = text.count("\n") + 2
        assert all(1 <= problem.place.line <= lines and problem.place.column >= 1 for problem in exc.problems)


def test_a_problem_is_one_line_whatever_it_quotes(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, GOOD.replace("name: orders", 'name: "or\\nders \\e[31m \\u202e"'))
    assert r"'name': 'or\nders \x1b[31m \u202e' is not a name" in problem


def test_a_slip_in_very_many_routes_still_gets_its_suggestion(tmp_path: Path) -> None:
    services = "".join(f"  svc-{number}: {{url: http://127.0.0.1:1}}\n" for number in range(300))
    routes = "".join(
        f"  - {{name: r{number}, match: {{path: /r{number}}}, candidate: srv-{number}}}\n" for number in range(300)
    )
    found = problems_of(tmp_path, GOOD.replace("legacy: legacy\n", services + "legacy: legacy\n") + routes)
    assert len(found) == 300
    assert all("no service is named 'srv-" in problem and "did you mean 'svc-" in problem for problem in found)


def test_what_is_found_while_reading_names_its_route_too(tmp_path: Path) -> None:
    text = (
        GOOD
        + "    candidate: legacy\n    timeout: ${UNSET}\n    stage: !x live\n"
        + "events:\n  e: {match: {path: /a, path: /b}}\n"
    )
    assert [problem.split("; ")[0] for problem in problems_of(tmp_path, text)] == [
        "fig.yaml:10:5: route 'orders': duplicate key 'candidate' (first in line 9)",
        "fig.yaml:11:14: route 'orders': the variable UNSET is not set",
        "fig.yaml:12:12: route 'orders': the tag '!x' is not used here",
        "fig.yaml:14:25: duplicate key 'path' (first in line 14)",
    ]


def test_one_method_needs_no_list(tmp_path: Path) -> None:
    text = DESIGN.read_text().replace("methods: [GET, HEAD]", "methods: GET")
    book = loaded(tmp_path, text)
    assert book.rules.routes[0].match.methods == ("GET",)
    assert not [each for each in book.warnings if each.code == "writes-not-journaled"]


def masks_of(folder: Path, *masks: str) -> Path:
    """A rules file with these masks, one a line, from line 9 on."""
    lines = "".join(f"      - {{path: /id, kind: matches, {mask}}}\n" for mask in masks)
    file = folder / "fig.yaml"
    file.write_text(
        "version: 1\nservices:\n  legacy: {url: http://127.0.0.1:9000}\nlegacy: legacy\nroutes: []\n"
        f"comparisons:\n  orders:\n    masks:\n{lines}"
    )
    return file


@pytest.mark.parametrize(
    "again",
    [
        "pattern: '[a-z]+', owner: bo, expires: 2027-01-01",
        '"pattern": "[a-z]+", routes: [checkout]',
        "routes: [browse, checkout], pattern: '[a-z]+'",
    ],
)
def test_two_masks_that_excuse_the_same_are_a_problem_at_the_second(tmp_path: Path, again: str) -> None:
    first = "pattern: '[a-z]+', owner: ada, routes: [checkout, orders]"
    file = masks_of(tmp_path, first, "pattern: '[0-9]+'", again)

    with pytest.raises(RulesError) as caught:
        load(file)

    assert list(map(str, caught.value.problems)) == [
        f"{file}:11:9: comparison 'orders': mask '/id matches pattern [a-z]+' excuses the same as the one at "
        f"{file}:9:9, so neither has a count or an end of its own; remove one of them"
    ]


def test_masks_that_excuse_the_same_on_different_routes_are_each_their_own(tmp_path: Path) -> None:
    book = load(masks_of(tmp_path, "pattern: '[a-z]+', routes: [orders]", "pattern: '[a-z]+', routes: [checkout]"))

    assert len(book.comparisons["orders"].masks) == 2

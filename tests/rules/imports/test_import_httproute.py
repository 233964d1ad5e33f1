"""Draft rules from HTTPRoute manifests."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.rulebook import load
from rules.document import Rules
from rules.imports.draft import Draft, ImportFailed, render
from rules.imports.httproute import import_httproutes

SHOP = Path(__file__).parent / "shop-routes.yaml"
Import = Callable[..., Draft]


def rules_of(draft: Draft, folder: Path) -> Rules:
    file = folder / "draft.yaml"
    file.write_text(render(draft))
    return load(file, {}).rules


def _route(*rules: dict[str, Any], hosts: list[str] | None = None) -> dict[str, Any]:
    spec = {"rules": list(rules)} | ({"hostnames": hosts} if hosts else {})
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": spec}


def _rule(path: str, to: str = "a", kind: str = "PathPrefix", **more: Any) -> dict[str, Any]:
    return {"matches": [{"path": {"type": kind, "value": path}}], "backendRefs": [{"name": to, "port": 80}]} | more


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """The draft of these documents; it must load as rules."""

    def imported(*documents: dict[str, Any], legacy: str | None = None) -> Draft:
        file = tmp_path / "routes.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        draft = import_httproutes(file, legacy)
        rules_of(draft, tmp_path)
        return draft

    return imported


def test_the_routes_of_a_shop_become_rules_in_the_gateways_order(tmp_path: Path) -> None:
    draft = import_httproutes(SHOP)
    rules = rules_of(draft, tmp_path)
    assert [route.name for route in rules.routes] == [
        "api-catalog-health", "api-catalog", "catalog", "root-redirect", "root", "suggest", "search",
    ]  # fmt: skip
    assert rules.legacy == "monolith"
    assert rules.services["catalog"].url == "http://catalog.shop.svc:9001"
    assert [str(route.origin).rpartition(":")[2] for route in draft.routes] == ["24", "10", "11", "55", "8", "41", "36"]


def test_what_the_shop_has_and_fig_cannot_say_is_listed_with_its_place() -> None:
    draft = import_httproutes(SHOP)
    assert {(each.origin.line, each.what) for each in draft.not_carried} == {
        (21, "spec.rules[1].timeouts.request"),
        (45, "spec.rules[1].retry.backoff"),
        (45, "spec.rules[1].retry.codes[0]"),
    }


def test_the_more_particular_match_comes_first_whatever_the_files_order(imported: Import) -> None:
    by_header = {"path": {"value": "/a"}, "headers": [{"name": "x", "value": "1"}, {"name": "y", "value": "2"}]}
    by_query = {"path": {"value": "/a"}, "queryParams": [{"name": "q", "value": "1"}]}
    by_method = {"path": {"value": "/a"}, "method": "GET"}
    rule = {"matches": [by_query, by_header, by_method], "backendRefs": [{"name": "a"}]}
    draft = imported(_route(_rule("/"), rule, _rule("/a/b"), _rule("/a", kind="Exact"), _rule("/a")))
    assert [route.content["match"] for route in draft.routes] == [
        {"path": "/a"},
        {"path": "/a/b/**"},
        {"path": "/a/**", "methods": ["GET"]},
        {"path": "/a/**", "headers": {"x": "1", "y": "2"}},
        {"path": "/a/**", "query": {"q": "1"}},
        {"path": "/a/**"},
        {"path": "/**"},
    ]


def test_the_more_particular_host_comes_first(imported: Import) -> None:
    wild = _route(_rule("/"), hosts=["*.example", "*.shop.example"])
    draft = imported(_route(_rule("/")), wild, _route(_rule("/"), hosts=["a.shop.example", "b.example"]))
    hosts = [route.content["match"].get("host") for route in draft.routes]
    assert hosts == [["a.shop.example", "b.example"], "*.shop.example", "*.example", None]


def test_two_weighted_services_are_a_canary_whose_legacy_is_the_files(imported: Import) -> None:
    refs = [{"name": "next", "port": 80, "weight": 30}, {"name": "now", "port": 80, "weight": 90}]
    rule = _rule("/") | {"backendRefs": refs}
    content = imported(_route(rule)).routes[0].content
    assert (content["legacy"], content["candidate"], content["share"]) == ("now", "next", "25%")
    content = imported(_route(rule), legacy="next").routes[0].content
    assert (content["legacy"], content["candidate"], content["share"]) == ("next", "now", "75%")


def test_a_service_with_weight_0_gets_nothing(imported: Import) -> None:
    refs = [{"name": "next", "port": 80, "weight": 0}, {"name": "now", "port": 80}]
    content = imported(_route(_rule("/") | {"backendRefs": refs})).routes[0].content
    assert content["legacy"] == "now"
    assert "candidate" not in content


def test_a_service_that_comes_twice_is_one(imported: Import) -> None:
    refs = [{"name": name, "port": 80, "weight": 1} for name in ("a", "b", "a", "b", "b")]
    draft = imported(_route(_rule("/") | {"backendRefs": refs}))
    content = draft.routes[0].content
    assert (content["legacy"], content["candidate"], content["share"]) == ("b", "a", "40%")


@pytest.mark.parametrize("weight", ["²", "-1", "9" * 5000])
def test_a_weight_that_is_none_is_listed(imported: Import, weight: str) -> None:
    refs = [{"name": "a", "port": 80}, {"name": "b", "port": 80, "weight": weight}]
    draft = imported(_route(_rule("/") | {"backendRefs": refs}))
    assert draft.routes[0].content["legacy"] == "a"
    assert "its weight is no whole number" in draft.not_carried[0].why


def test_of_two_that_match_alike_the_older_route_comes_first_then_the_first_by_name(imported: Import) -> None:
    def named(namespace: str, name: str, to: str, born: str | None) -> dict[str, Any]:
        age = {"creationTimestamp": born} if born else {}
        return _route(_rule("/", to)) | {"metadata": {"name": name, "namespace": namespace} | age}

    young, old = "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"
    aged = [named("a", "a", "young", young), named("b", "b", "old", old)]
    unaged = [named("b", "a", "last", None), named("a", "b", "second", young), named("a", "a", "first", None)]
    for documents, order in ((aged, ["old", "young"]), (unaged, ["first", "second", "last"])):
        assert [route.content["legacy"] for route in imported(*documents).routes] == order


def test_a_path_with_a_star_means_the_star(imported: Import) -> None:
    draft = imported(_route(_rule("/a/*", kind="Exact"), _rule("/b*")))
    paths = [route.content["match"]["path"] for route in draft.routes]
    assert [re.fullmatch(path["regex"], "/a/*") is not None for path in paths] == [True, False]
    assert [re.fullmatch(path["regex"], "/b*/c") is not None for path in paths] == [False, True]


def test_a_regex_that_is_none_is_listed_in_one_line(imported: Import) -> None:
    headers = [{"name": "x", "type": "RegularExpression", "value": "[a"}]
    rule = {"matches": [{"headers": headers}], "backendRefs": [{"name": "a", "port": 80}]}
    draft = imported(_route(_rule("/"), rule))
    assert draft.not_carried[0].why == "not a regular expression (RE2): missing ]: [a"


def test_a_third_service_is_listed(imported: Import) -> None:
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in (("a", 5), ("b", 3), ("c", 2))]
    draft = imported(_route(_rule("/") | {"backendRefs": refs}))
    assert "left out: c" in draft.not_carried[0].why


def test_a_rule_without_a_service_answers_500_as_a_gateway_does(imported: Import) -> None:
    draft = imported(_route(_rule("/"), {"matches": [{"path": {"value": "/x"}}]}))
    assert draft.routes[0].content["respond"] == {"status": 500}


def test_a_prefix_can_only_replace_a_prefix(imported: Import) -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}
    filters = [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    draft = imported(_route(_rule("/"), _rule("/a", kind="Exact", filters=filters), _rule("/c", filters=filters)))
    assert [route.content.get("rewrite") for route in draft.routes] == [{"prefix": "/b", "sides": "both"}, None]
    assert "write the route by hand" in draft.not_carried[0].why


def test_routes_on_several_listeners_are_listed(imported: Import) -> None:
    routes = [_route(_rule("/a")), _route(_rule("/b"))]
    for route, section in zip(routes, ("http", "https"), strict=True):
        route["spec"]["parentRefs"] = [{"name": "public", "sectionName": section}]
    draft = imported(*routes)
    assert [each.what for each in draft.not_carried] == ["spec.parentRefs[0]", "spec.parentRefs[0]"]


def test_annotations_are_listed_because_a_gateway_may_act_on_them(imported: Import) -> None:
    route = _route(_rule("/"))
    route["metadata"] |= {"annotations": {"example.com/canary": "5"}, "labels": {"app": "shop"}}
    assert [each.what for each in imported(route).not_carried] == ["metadata.annotations.example.com/canary"]


def test_routes_that_only_redirect_have_a_placeholder_for_legacy(imported: Import) -> None:
    away = {"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}
    draft = imported(_route(away))
    assert [each.what for each in draft.not_carried] == ["legacy"]
    assert draft.services == {"legacy": {"url": "http://127.0.0.1:9000"}}


def test_a_list_of_routes_counts_as_its_routes(imported: Import) -> None:
    draft = imported({"kind": "List", "items": [_route(_rule("/a")), _route(_rule("/b"))]})
    assert len(draft.routes) == 2


def test_other_kinds_are_listed(imported: Import) -> None:
    draft = imported(_route(_rule("/")), {"kind": "Gateway", "metadata": {"name": "public"}, "spec": {"x": 1}})
    assert [each.what for each in draft.not_carried] == ["Gateway public"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", r"routes.yaml:1:\d+: not YAML"),
        ("a: 1\na: 2", "routes.yaml:2: 'a' stands twice"),
        ("a: &a [*a]", "levels within one another"),
        ("kind: Service", "holds no HTTPRoute"),
        ("", "holds no HTTPRoute"),
        ("- 1\n- 2", "holds no HTTPRoute"),
        ("kind: HTTPRoute", "no route can be made of it"),
        ("\x00", "not YAML"),
        ("[" * 2000, "not YAML"),
        ("a: " + "{a: " * 100 + "1" + "}" * 100, "levels within one another"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(ImportFailed, match=says):
        import_httproutes(file)


def test_aliases_that_multiply_are_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules.imports.manifests.MOST_FIELDS", 1000)
    lines = ["a0: &a0 [1, 1, 1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 20))]
    (tmp_path / "routes.yaml").write_text("\n".join(lines))
    with pytest.raises(ImportFailed, match="more than 1000 values"):
        import_httproutes(tmp_path / "routes.yaml")


def test_bytes_that_are_no_text_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ImportFailed, match="not UTF-8"):
        import_httproutes(tmp_path / "routes.yaml")


def _mappings(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(inner for each in value.values() for inner in _mappings(each))]
    return [inner for each in value for inner in _mappings(each)] if isinstance(value, list) else []


@pytest.mark.parametrize("seed", range(20))
def test_a_field_that_nobody_knows_is_listed_wherever_it_stands(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    documents = list(yaml.safe_load_all(SHOP.read_text()))
    chosen = [each for document in documents for each in _mappings(document["spec"])]
    for number, mapping in enumerate(chance.sample(chosen, 5)):
        mapping[f"zz{number}"] = {"inner": 1} if chance.random() < 0.3 else "on"
    file = tmp_path / "routes.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    listed = " ".join(each.what for each in import_httproutes(file).not_carried)
    assert [number for number in range(5) if f"zz{number}" not in listed] == []


_VALUES = (None, -1, 10**12, "", "/a b", "(", "{x}", "${A}", [], [1], {}, {"a": 1}, True, "é", "*")


@pytest.mark.parametrize("seed", range(40))
def test_values_of_any_kind_are_refused_in_words_or_become_rules_that_load(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    documents = list(yaml.safe_load_all(SHOP.read_text()))
    for _ in range(chance.randint(1, 6)):
        mapping = chance.choice([each for document in documents for each in _mappings(document["spec"])])
        key = chance.choice(list(mapping) or ["zz"])
        mapping[key] = copy.deepcopy(chance.choice(_VALUES))
    file = tmp_path / "routes.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    try:
        draft = import_httproutes(file)
    except ImportFailed as exc:
        assert str(exc)
        return
    rules_of(draft, tmp_path)

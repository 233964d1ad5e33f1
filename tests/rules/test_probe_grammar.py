"""`probes:` of a rules file: what is accepted, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.publication import publish
from proxy.rulebook import load
from rules.effective import Effective
from rules.probes import JsonExpectation, Probe
from rules.problems import RulesError
from tests.fakes.probed import probe, rules_of, write


def problems(folder: Path, one: dict[str, Any], name: str = "buy", environment: dict[str, str] | None = None) -> str:
    try:
        load(write(folder, rules_of("http://legacy", "http://shop", {name: one})), environment or {})
    except RulesError as exc:
        return "\n".join(map(str, exc.problems))
    return ""


def test_a_short_probe_is_one(tmp_path: Path) -> None:
    found = load(write(tmp_path, rules_of("http://legacy", "http://shop", {"buy": probe()}))).probes["buy"]
    assert isinstance(found, Probe)
    assert (found.every, found.timeout, found.fresh, found.sides, found.critical) == (60.0, 10.0, 300.0, "both", False)
    assert (found.steps[0].method, found.steps[0].expect.status) == ("GET", ("2xx",))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"routes": ["carts"]}, "no route is named 'carts'; did you mean 'cart'?"),
        ({"routes": []}, "needs at least 1"),
        ({"steps": []}, "needs at least 1"),
        ({"often": "1m"}, "unknown key 'often'"),
        ({"every": "10ms"}, "'every': must be greater than or equal to 1"),
        ({"timeout": "10m"}, "'timeout': must be less than or equal to 300"),
        ({"every": "10m"}, "'fresh' is shorter than 'every' and 'timeout' together"),
        ({"sides": "legacy"}, "must be 'both' or 'candidate'"),
        ({"steps": [{"path": "cart"}]}, "'cart' is no path"),
        ({"steps": [{"path": "/cart/{id}"}]}, "step 1: nothing is named '{id}' there; an earlier step must 'take' it"),
        ({"steps": [{"path": "/", "name": "a"}, {"path": "/", "name": "a"}]}, "two steps are named 'a'"),
        ({"steps": [{"path": "/", "method": "post"}]}, "write POST"),
        ({"steps": [{"path": "/", "headers": {"host": "x"}}]}, "fig itself writes the header 'host' of a probe; use"),
        ({"steps": [{"path": "/", "headers": {"X-Fig-Probe": "x"}}]}, "fig itself writes the header 'X-Fig-Probe'"),
        ({"steps": [{"path": "/", "json": {}, "text": "x"}]}, "'json' and 'text' cannot stand together"),
        ({"steps": [{"path": "/", "json": {"a": "{"}}]}, "a brace stands alone"),
        ({"steps": [{"path": "/", "take": {"a": "request:/id"}}]}, "names no value here"),
        ({"steps": [{"path": "/", "take": {"run": "response:/id"}}]}, "'run' is known already"),
        ({"steps": [{"path": "/", "expect": {"status": "6xx"}}]}, "'status'"),
        ({"steps": [{"path": "/", "expect": {"json": [{"at": "id", "exists": True}]}}]}, "'id' is no JSON pointer"),
        ({"steps": [{"path": "/", "expect": {"json": [{"at": "/id"}]}}]}, "say exactly one of 'equals', 'matches'"),
        ({"steps": [{"path": "/", "expect": {"json": [{"at": "/id", "matches": "("}]}}]}, "not a regular expression"),
        ({"steps": [{"path": "/", "expect": {"headers": {"etag": {}}}}]}, "say exactly one of 'matches', 'contains'"),
    ],
)
def test_a_slip_is_told_at_its_place(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    found = problems(tmp_path, {**probe(), **wrong})
    assert told in found
    assert found.count("\n") == 0  # once


def test_a_probe_is_named_plainly(tmp_path: Path) -> None:
    assert "'a b' is not a name" in problems(tmp_path, probe(), "a b")


def test_a_route_without_a_candidate_cannot_be_guarded(tmp_path: Path) -> None:
    rules = rules_of("http://legacy", "http://shop", {"buy": {**probe(), "routes": ["old"]}})
    rules["routes"].append({"name": "old", "match": {"path": "/old"}, "legacy": "legacy"})
    with pytest.raises(RulesError, match="route 'old' has no candidate, so there is nothing to guard"):
        load(write(tmp_path, rules))


def test_a_number_lies_between_two_others_or_within_reach_of_one() -> None:
    assert JsonExpectation(at="/a", at_least=1, at_most=2)
    assert JsonExpectation(at="/a", equals=1, within=0.5)
    for wrong in ({"equals": "x", "within": 1}, {"equals": True, "within": 1}, {"at_least": 2, "at_most": 1}):
        with pytest.raises(ValueError, match=r"within|at_most"):
            JsonExpectation.model_validate({"at": "/a", **wrong})


def test_no_problem_shows_what_a_variable_holds(tmp_path: Path) -> None:
    step = {"path": "/", "headers": {"authorization": "Bearer ${TOKEN}\n"}, "expect": {"json": [{"at": "${TOKEN}"}]}}
    found = problems(tmp_path, probe(step), environment={"TOKEN": "sesame-sesame"})
    assert found
    assert "sesame" not in found


def test_what_workers_read_holds_no_probe_and_no_secret(tmp_path: Path) -> None:
    """Probes are for control and commands: the state folder never has what the environment gave them."""
    step = {"path": "/cart/1", "headers": {"authorization": "Bearer ${TOKEN}"}}
    path = write(tmp_path, rules_of("http://legacy", "http://shop", {"buy": probe(step)}))
    rulebook = load(path, {"TOKEN": "sesame-sesame"})
    (tmp_path / "state").mkdir()
    publish(tmp_path / "state", Effective(1, rulebook.rules))
    written = b"".join(each.read_bytes() for each in (tmp_path / "state").iterdir())
    assert b"sesame" not in written
    assert "sesame" not in repr(rulebook)

"""The demo serves the example's own rules file, but for ports and pace."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.demo.example import RULES, SERVICES, ExampleError, at_pace, at_url, find, put, rules_for
from proxy.demo.figures import describe
from proxy.demo.pace import FAST, FULL, Pace
from proxy.demo.story import SLOWNESS, Fault
from proxy.rulebook import load

PORTS = {name: 20_000 + number for number, name in enumerate(SERVICES)}


@pytest.fixture
def rules() -> str:
    return (find() / RULES).read_text()


@pytest.mark.parametrize("pace", [FULL, FAST], ids=lambda pace: pace.name)
def test_each_pace_makes_a_file_that_fig_accepts_without_a_warning(rules: str, pace: Pace, tmp_path: Path) -> None:
    path = tmp_path / RULES
    put(path, rules_for(rules, PORTS, pace))

    rulebook = load(path)

    assert {name: service.endpoints[0].port for name, service in rulebook.rules.services.items()} == PORTS
    assert rulebook.warnings == ()


def test_the_full_pace_changes_nothing_but_ports(rules: str) -> None:
    written = rules_for(rules, PORTS, FULL).splitlines()

    changed = [(a, b) for a, b in zip(rules.splitlines(), written, strict=True) if a != b]
    assert len(changed) == len(SERVICES)
    assert all("url:" in line for line, _ in changed)


def test_another_release_changes_one_url(rules: str) -> None:
    written = at_url(rules, "cart", "http://127.0.0.1:1")

    assert written.replace("http://127.0.0.1:1,", "http://127.0.0.1:9002,") == rules


def test_a_service_that_the_file_does_not_name_is_an_error(rules: str) -> None:
    with pytest.raises(ExampleError, match="no line '  basket"):
        at_url(rules, "basket", "http://127.0.0.1:1")


def test_a_figure_that_the_file_does_not_have_is_an_error(rules: str) -> None:
    with pytest.raises(ExampleError, match="hold: 9h"):
        at_pace(rules, Pace("odd", 1, 1, 1, 1, 1, 1, figures=(("hold: 9h", "hold: 1s"),)))


def test_figures_that_decide_are_told_as_the_file_has_them(rules: str, tmp_path: Path) -> None:
    path = tmp_path / RULES
    put(path, rules_for(rules, PORTS, FAST))
    rulebook = load(path)

    told = "\n".join(describe(path, FAST, frozenset({Fault.SLOW_CART})))

    assert f"shown on {rulebook.certificates['reviews'].pairs} pairs" in told
    assert f"for at least {rulebook.rollouts['cart'].hold:g} s each" in told
    assert "planted: slow-cart" in told


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / RULES
    path.write_text("before")
    with path.open() as reader:
        put(path, "after")
        assert reader.read() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_the_ending_knows_the_latency_metrics_of_the_gate_by_name() -> None:
    gate = load(find() / RULES).gates["storefront"]

    assert {metric.name for metric in gate.metrics if metric.kind == "latency"} == set(SLOWNESS)

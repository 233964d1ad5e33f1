"""`fig rules explain` as people call it: arguments in, lines or JSON out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.publication import publish
from proxy.rulebook import load
from rules.buckets import bucket
from rules.effective import Effective, Position
from rules.stages import Stage

DESIGN = Path(__file__).parents[2] / "rules" / "design.yaml"
run = CliRunner().invoke


def test_explain_names_the_winner_and_what_kept_earlier_routes_from_it() -> None:
    result = run(
        app, ["rules", "explain", "POST", "/api/%63heckout//17?x=1", "-H", "X-App: shop-web", "-c", str(DESIGN)]
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "POST /api/checkout/17  (host localhost)",
        "  path     was /api/%63heckout//17: %63 decoded, because 'c' needs no escape, '//' merged to '/'",
        "  not products  path: segment 2 is 'checkout', not 'products' as in /api/products/**",
        "  taken by route checkout, stage shadow",
        "  captures order=17",
        "  answers  legacy, service legacy: in stage shadow legacy always answers",
        "  limits   timeout 30s",
        "  copies   the write is journaled first, and delivered to candidate after a good answer, "
        "in order with other writes of '17'",
    ]


def test_explain_says_at_which_share_a_unit_changes_sides() -> None:
    arguments = [
        "rules",
        "explain",
        "GET",
        "http://shop:8080/api/products",
        "--unit",
        "jane",
        "-c",
        str(DESIGN),
        "--json",
    ]
    answer = json.loads(run(app, arguments).stdout)
    own = bucket("products", "jane")
    assert (answer["route"], answer["unit"], answer["bucket"], answer["side"]) == ("products", "jane", own, "legacy")
    assert answer["candidate_from_share"] == f"{(own + 1) / 10_000:.4f}".rstrip("0").rstrip(".") + "%"
    assert answer["host"] == "shop"


def test_explain_leaves_open_which_side_a_unit_to_be_issued_gets() -> None:
    answer = json.loads(run(app, ["rules", "explain", "GET", "/api/products", "-c", str(DESIGN), "--json"]).stdout)
    assert (answer["unit"], answer["unit_issued"], answer["side"], answer["service"]) == (None, True, None, None)


def test_explain_reads_the_positions_of_a_running_fig(tmp_path: Path) -> None:
    effective = Effective(generation=9, rules=load(DESIGN).rules, positions={"products": Position(Stage.LIVE, 0)})
    publish(tmp_path, effective)
    answer = json.loads(
        run(app, ["rules", "explain", "GET", "/api/products", "--state", str(tmp_path), "--json"]).stdout
    )
    assert (answer["stage"], answer["side"], answer["copy_to"]) == ("live", "candidate", "legacy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GET", "/a%2fb"], "fig answers 400: the path /a%2fb is refused, because '%2f' has no single reading"),
        (["GET", "http://[::1"], "fig answers 400: '[::1' is not a host name with an optional port"),
        (["GET", "shop.example/api"], "'shop.example/api' is no URL; write it like http://shop:8080/api/products"),
        (["CONNECT", "/"], "fig answers 405: CONNECT is not allowed here"),
        (["GET", "/", "--client", "nobody"], "'nobody' is no client address; write it like 10.0.0.1"),
        (["GET", "/", "-H", "a: b", "-H", "Bearer s3cret"], "-H number 2 has no name and colon"),
        (["GET", "/", "-H", "nonsense"], "-H number 1 has no name and colon; write it like 'Name: value'"),
        (["GET", "/", "-c", "missing.yaml"], "missing.yaml:1:1: cannot be read: No such file or directory"),
        (["GET", "/", "--state", "missing"], "missing holds no effective table"),
    ],
)
def test_explain_refuses_what_it_cannot_explain(arguments: list[str], message: str) -> None:
    result = run(app, ["rules", "explain", "-c", str(DESIGN), *arguments])
    assert result.exit_code == 2
    assert message in result.stderr

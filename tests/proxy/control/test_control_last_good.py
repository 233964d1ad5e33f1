"""Gates and rollouts of the last accepted rules, as the store keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from proxy.control.last_good import decode, encode
from proxy.rulebook import Rulebook, load

RULES: dict[str, Any] = {
    "version": 1,
    "services": {"shop": {"url": "http://127.0.0.1:9001"}, "monolith": {"url": "http://127.0.0.1:9000"}},
    "legacy": "monolith",
    "routes": [
        {
            "name": name,
            "match": {"path": f"/{name}"},
            "candidate": "shop",
            "unit": {"cookie": "u"},
            "rollout": {
                "steps": ["1%", {"share": "50%", "approval": True}],
                "gate": "g",
                "only": "Mon-Fri 09-16 Europe/Berlin",
                "watch": "1h",
                "instant": {"error_rate": "30%"},
            },
        }
        for name in ("cart", "search")
    ],
    "gates": {
        "g": {
            "metrics": [
                {"name": "errors", "kind": "error_rate", "margin": "0.5pp", "critical": True},
                {"name": "p99", "kind": "latency", "quantile": 0.99, "margin": "20ms"},
            ]
        }
    },
}


def rulebook(tmp_path: Path) -> Rulebook:
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(RULES))
    return load(tmp_path / "fig.yaml")


def test_what_was_kept_judges_as_the_file_did(tmp_path: Path) -> None:
    accepted = rulebook(tmp_path)

    again = decode(encode(accepted), accepted.rules)

    assert again is not None
    assert (again.gates, again.rollouts) == (accepted.gates, accepted.rollouts)


def test_routes_that_are_not_in_the_published_table_are_left_out(tmp_path: Path) -> None:
    accepted = rulebook(tmp_path)
    fewer = accepted.rules.model_copy(update={"routes": accepted.rules.routes[:1]})

    again = decode(encode(accepted), fewer)

    assert again is not None
    assert list(again.rollouts) == ["cart"]


def test_what_cannot_be_read_judges_nothing(tmp_path: Path) -> None:
    accepted = rulebook(tmp_path)

    assert decode(b"", accepted.rules) is None
    assert decode(encode(accepted)[:-7], accepted.rules) is None

"""The alerts and recorded ratios for Prometheus, held against series by promtool: burning, recovering, all well."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import need

DEPLOY = Path(__file__).parents[1] / "deploy"


def burning(**rates: float) -> list[dict[str, str]]:
    """Burn rates by window (``w1h``), as fig shows them, for ten minutes."""
    return [
        {
            "series": f'fig_slo_burn_rate{{slo="products",objective="availability",window="{window[1:]}"}}',
            "values": f"{rate}x10",
        }
        for window, rate in rates.items()
    ]


def held_against(tmp_path: Path, group: dict[str, Any]) -> None:
    """What promtool makes of one group of tests."""
    file = tmp_path / "rules.test.yml"
    rules = [str(DEPLOY / name) for name in ("alerts.yml", "slo_rules.yml")]
    file.write_text(yaml.safe_dump({"rule_files": rules, "tests": [{"interval": "1m", **group}]}))
    command = [need("promtool", "prometheus"), "test", "rules", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("rates", "page", "ticket"),
    [
        ({"w1h": 20.0, "w5m": 30.0, "w6h": 4.0, "w30m": 20.0}, True, False),
        ({"w1h": 20.0, "w5m": 2.0, "w6h": 4.0, "w30m": 2.0}, False, False),
        ({"w1h": 2.0, "w5m": 30.0, "w6h": 4.0, "w30m": 20.0}, False, False),
        ({"w6h": 6.5, "w30m": 7.0, "w3d": 0.5}, True, False),
        ({"w6h": 1.2, "w30m": 0.0, "w3d": 1.1}, False, True),
        ({"w6h": 0.2, "w3d": 1.1}, False, False),
    ],
)
def test_alerts_are_raised_while_both_windows_burn(
    tmp_path: Path, rates: dict[str, float], page: bool, ticket: bool
) -> None:
    group = {
        "input_series": burning(**rates),
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",slo="products",severity="{severity}"}}) or vector(0)',
                "eval_time": "5m",
                "exp_samples": [{"labels": "{}", "value": int(raised)}],
            }
            for name, severity, raised in (
                ("FigBudgetBurnsFast", "page", page),
                ("FigBudgetBurns", "ticket", ticket),
            )
        ],
    }
    held_against(tmp_path, group)


def test_recorded_ratios_count_both_sides_and_what_fig_answered(tmp_path: Path) -> None:
    series = {
        'fig_requests_total{route="cart",side="legacy",status_class="2xx"}': "0+90x10",
        'fig_requests_total{route="cart",side="candidate",status_class="5xx"}': "0+6x10",
        'fig_own_answers_total{route="cart",reason="timeout",status="504"}': "0+4x10",
        'fig_own_answers_total{route="cart",reason="respond",status="503"}': "0+100x10",
        'fig_requests_total{route="well",side="legacy",status_class="2xx"}': "0+90x10",
    }
    group = {
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'round(route:fig_bad:ratio_rate5m{{route="{route}"}}, 0.0001)',
                "eval_time": "9m",
                "exp_samples": [{"labels": f'{{route="{route}"}}', "value": ratio}],
            }
            for route, ratio in (("cart", 0.1), ("well", 0.0))
        ],
    }
    held_against(tmp_path, group)

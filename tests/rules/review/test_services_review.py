"""What the review says of services: each slip at its key, and nothing of what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.rulebook import load_reviewed
from rules.review.meanings import MEANINGS

TWO = "urls: ['http://b:1', 'http://c:1']"


def told(folder: Path, service: str) -> list[tuple[str, int]]:
    """Codes, and the columns of what they speak of; the service's block begins in column 6."""
    file = folder / "fig.yaml"
    file.write_text(f"version: 1\nservices:\n  a: {{{service}}}\nlegacy: a\n")
    rulebook, found = load_reviewed(file)
    assert {problem.place.line for problem in found.problems} <= {3}
    assert {problem.code for problem in found.problems} <= set(MEANINGS)
    return [(problem.code, problem.place.column) for problem in (*rulebook.warnings, *found.problems)]


@pytest.mark.parametrize(
    ("service", "code", "value"),
    [
        ("url: https://b, tls: {verify: false}", "unverified-tls", "false"),
        ("url: http://b, max_requests: 12000", "idle-limit", "12000"),
        (f"{TWO}, max_connections: 10, max_requests: 21", "idle-limit", "21"),
        ("url: http://b, max_requests: 9, max_connections: 10", "idle-limit", "10"),
        ("url: http://b, balance: least_requests", "idle-care", "least_requests"),
        ("url: http://b, ejection: {consecutive_5xx: 3}", "idle-care", "{consecutive"),
        (f"{TWO}, ejection: {{success_rate: {{}}}}", "idle-care", "{}"),
        (f"{TWO}, ejection: {{failure_percentage: {{threshold: 50%}}}}", "idle-care", "{threshold"),
    ],
)
def test_a_slip_is_told_at_its_value(tmp_path: Path, service: str, code: str, value: str) -> None:
    assert told(tmp_path, service) == [(code, 7 + service.rindex(value))]


@pytest.mark.parametrize(
    "service",
    [
        "url: https://b, tls: {verify: true}",
        "url: https://b",
        "url: http://b, max_requests: 200",
        "url: http://b, max_requests: 12000, max_connections: 12000",
        f"{TWO}, max_connections: 10, max_requests: 20",
        "url: http://b, ejection: off",
        f"{TWO}, balance: least_requests, ejection: {{consecutive_5xx: 3}}",
        f"{TWO}, ejection: {{failure_percentage: {{minimum_endpoints: 2}}, success_rate: off}}",
    ],
)
def test_what_is_meant_is_not_told(tmp_path: Path, service: str) -> None:
    assert told(tmp_path, service) == []

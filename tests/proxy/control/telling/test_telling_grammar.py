"""`webhooks`, `notify` and `slo` in rules files: what is wrong is told with its place, and no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.rulebook import load
from rules.problems import RulesError

ENVIRONMENT = {"HOOK_SECRET": "correct-horse-battery", "SHORT": "s3cr3t", "CHAT": "https://chat.example/T0P53CR3T"}
HEAD = """\
version: 1
services: {shop: {url: "http://127.0.0.1:9000"}, products: {url: "http://127.0.0.1:9001"}}
legacy: shop
routes: [{name: products, match: {path: /p}, candidate: products, unit: {cookie: unit}}]
"""
GOOD = """\
webhooks:
  calendar: {url: "https://changes.example/fig", secret: "${HOOK_SECRET}", routes: [products], on_failure: go}
notify:
  team: {url: "${CHAT}", form: slack, events: [rollback, slo]}
slo:
  products: {route: products, availability: 99.9%, latency: {part: 95%, under: 300ms}}
  shop: {service: shop, availability: 99.5%}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "fig.yaml").write_text(HEAD + text)
    with pytest.raises(RulesError) as refused:
        load(tmp_path / "fig.yaml", ENVIRONMENT)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in refused.value.problems]


def test_what_the_blocks_say_is_in_the_rulebook_and_its_secrets_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD + GOOD)
    book = load(tmp_path / "fig.yaml", ENVIRONMENT)
    assert book.webhooks["calendar"].secret == "correct-horse-battery"
    assert book.webhooks["calendar"].concerns("products")
    assert book.notify["team"].place == "https://chat.example"
    assert book.slo["products"].latency is not None
    shown = repr(book) + repr(book.webhooks) + repr(book.notify)
    assert "correct-horse" not in shown
    assert "T0P53CR3T" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "webhooks:\n  a: {url: 'https://a.example', secret: correct-horse-battery}\n",
            "fig.yaml:6:41: 'secret': stands in the file; put it into the environment and write ${NAME}",
        ),
        ("webhooks:\n  a: {url: 'https://a.example'}\n", "'secret'"),
        ("webhooks:\n  a: {url: 'ftp://a.example', secret: '${HOOK_SECRET}'}\n", "no http or https URL"),
        ("webhooks:\n  a: {url: 'https://a.example', secret: '${SHORT}'}\n", "shorter than 16 characters"),
        (
            "webhooks:\n  a: {url: 'https://a.example', secret: '${HOOK_SECRET}', routes: [product]}\n",
            "'routes': no route is named 'product'; did you mean 'products'?",
        ),
        (
            "webhooks:\n  a: {url: 'https://a.example', secret: '${HOOK_SECRET}', when: [before], moves: [rollback]}\n",
            "is never asked",
        ),
        ("webhooks:\n  a: {url: 'https://a.example', secret: '${HOOK_SECRET}', on_failur: go}\n", "'on_failure'"),
        ("webhooks:\n  'a b': {url: 'https://a.example', secret: '${HOOK_SECRET}'}\n", "'a b' is not a name"),
        ("notify:\n  a: {url: '${CHAT}', form: slack, secret: '${HOOK_SECRET}'}\n", "'secret' belongs to form json"),
        ("notify:\n  a: {url: '${CHAT}', events: [rollbacks]}\n", "rollback"),
        ("notify:\n  a: {url: '${CHAT}', per_minute: 100}\n", "per_minute"),
        ("slo:\n  a: {route: product, availability: 99%}\n", "'route': no route is named 'product'; did you mean"),
        ("slo:\n  a: {service: shopp, availability: 99%}\n", "'service': no service is named 'shopp'; did you mean"),
        ("slo:\n  a: {route: products, service: shop, availability: 99%}\n", "exactly one of 'route: NAME'"),
        ("slo:\n  a: {route: products}\n", "promises nothing"),
        ("slo:\n  a: {route: products, availability: 100%}\n", "50% to 99.9999%"),
        ("slo:\n  a: {route: products, availability: 99%, period: 1h}\n", "7 to 90 days"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("fig.yaml:6:")


def test_no_problem_shows_a_secret(tmp_path: Path) -> None:
    found = problems(tmp_path, "webhooks:\n  a: {url: '${HOOK_SECRET}', secret: '${SHORT}', when: ['${CHAT}']}\n")
    for text in ("correct-horse", "s3cr3t", "T0P53CR3T"):
        assert text not in "\n".join(found)

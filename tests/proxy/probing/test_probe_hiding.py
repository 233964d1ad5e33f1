"""What is known to be secret is in no text that a report shows, however the text writes it."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.probing.hiding import LONGEST, Hiding
from shadow.spec import Redact

NAME = "${S}"
SECRETS = st.text(min_size=4, max_size=30).filter(lambda each: each not in NAME and not each.isspace())


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_what_the_environment_gave_is_shown_by_its_name_alone(secret: str, before: str, after: str) -> None:
    hiding = Hiding({NAME: secret})
    for shown in (
        hiding.text(before + secret + after),
        hiding.json({"a": [before + secret + after]}),
        hiding.json({before + secret: 1}),
        hiding.header("x-note", before + secret + after),
        hiding.target(f"/x?y={quote(secret, safe='', errors='replace')}"),
    ):
        assume(secret not in before + NAME + after)
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown


def test_a_text_is_cut_and_in_one_line() -> None:
    shown = Hiding({}).text("a\nb\x1b[31m" + "c" * 1000)
    assert len(shown) <= LONGEST + 3
    assert shown.isprintable()


def test_of_a_long_text_no_part_of_a_secret_is_shown_wherever_it_is_cut() -> None:
    """Where many long secrets become short words, what stood far behind comes to the front."""
    secret = "hidden-word-" * 300
    for before in range(0, 100, 7):
        shown = Hiding({NAME: secret}).text("x" * before + secret * 40)
        assert "hidden-w" not in shown
        assert len(shown) <= LONGEST + 3


def test_only_the_beginning_of_a_large_value_is_looked_at() -> None:
    looked = []

    class Watched(Hiding):
        def _covers(self, at: str) -> bool:
            looked.append(at)
            return super()._covers(at)

    shown = Watched({}, [Redact(fields=("/items/*/who",))]).json({"items": [{"who": "Jane"}] * 100_000})

    assert shown.startswith('{"items": [{"who": "(not shown)"}, {')
    assert len(looked) < 10_000


def test_configured_fields_hide_all_that_is_in_them() -> None:
    hiding = Hiding({}, [Redact(fields=("/who",), headers=("x-who",), query=("id",))], ["/lines/*/note"])
    shown = hiding.json({"who": {"first": "Jane"}, "lines": [{"note": "secretly", "sku": "A"}]})
    assert ("Jane" in shown, "secretly" in shown, '"A"' in shown) == (False, False, True)
    assert hiding.json("Jane", "/who/first") == '"(not shown)"'
    assert hiding.header("X-Who", "Jane") == "(not shown)"
    assert hiding.target("/a?id=7&b=1") == "/a?id=(not shown)&b=1"

"""Whatever two services answer is compared, redacted and kept without an error, and never equal by accident."""

from __future__ import annotations

import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.aligned import side_by_side
from shadow.comparing.compare import judge
from shadow.pair import Answer
from shadow.pairs.kept import decode, encode, keep_pair
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison
from tests.fakes.pairs import pair

COMPARISON = Comparison.model_validate(
    {
        "headers": ["content-type", "set-cookie", "location"],
        "masks": [
            {"path": "/**", "kind": "any_order"},
            {"path": "/**/a", "kind": "timestamp", "within": "1s"},
            {"path": "/**/b", "kind": "number", "within": "1%"},
            {"path": "/**/c", "kind": "matches", "pattern": "[a-z]+"},
            {"path": "line:*", "kind": "uuid"},
        ],
        "redact": {"fields": ["/**/pin", "/card"], "query": ["token"], "headers": ["x-tenant"]},
    }
)
REDACTOR = Redactor(b"k" * 32)

latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=30)
types = st.sampled_from(
    ["application/json", "text/html", "text/plain; charset=utf-16", 'text/x; charset="', "image/png", ";", ""]
)
names = st.sampled_from(["Content-Type", "Content-Encoding", "Set-Cookie", "Location", "X-Tenant"])
codings = st.sampled_from(["gzip", "deflate", "br", "gzip, gzip", "identity", ","])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
keys = st.sampled_from(["a", "b", "c", "pin", "card", "/", "~", "2026-11-22"])
bodies = (
    st.binary(max_size=60)
    | st.binary(max_size=60).map(gzip.compress)
    | st.sampled_from(
        [b'{"pin":"\\ud800"}', b'{"a":1,"a":2}', b"[" * 500, b"1e999999999999", b'{"pin": NaN}', b"7" * 5000]
    )
    | st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)).map(
        lambda value: json.dumps(value).encode()
    )
)
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 200, 200, 404]),
    headers=st.tuples(
        st.tuples(st.just("Content-Type"), types),
        st.tuples(st.just("Content-Encoding"), codings) | st.tuples(names, latin),
        st.tuples(names, latin),
    ),
    body=bodies,
    truncated=st.sampled_from([False, False, False, True]),
    failure=st.sampled_from(["", "", "", "timeout"]),
)


@given(answers, answers, latin)
def test_any_two_answers_are_judged_redacted_kept_and_shown(legacy: Answer, candidate: Answer, target: str) -> None:
    judged = judge(pair(legacy, candidate, target=target, request_headers=(("Cookie", target),)), COMPARISON)
    back = judge(pair(candidate, legacy), COMPARISON)
    assert judged.outcome.equal == back.outcome.equal
    if judged.outcome.equal:
        assert (legacy.status, legacy.failure) == (candidate.status, candidate.failure)
    clean, differences = REDACTOR.pair(judged.pair, judged.outcome.differences, COMPARISON.redact)
    assert len(differences) == len(judged.outcome.differences)
    kept = keep_pair(clean, judged.outcome)
    assert decode(encode(kept)) == kept
    assert side_by_side(kept) is not None

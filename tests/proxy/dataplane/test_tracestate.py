"""tracestate by the letter of W3C Trace Context, level 2; cases after the ideas of its own test suite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.tracestate import combined


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([b"foo=1,bar=2"], b"foo=1,bar=2"),
        ([b"foo=1", b"bar=2"], b"foo=1,bar=2"),
        ([b"foo=1, \t bar=2 ,,"], b"foo=1,bar=2"),
        ([b"", b"foo=1"], b"foo=1"),
        ([b"tenant@vendor=1,0-a=2"], b"tenant@vendor=1,0-a=2"),
        ([b"a=" + b"x" * 256], b"a=" + b"x" * 256),
        ([b"a= b c"], b"a= b c"),
        ([b"k" * 256 + b"=1"], b"k" * 256 + b"=1"),
        ([b",".join(b"k%d=1" % n for n in range(32))], b",".join(b"k%d=1" % n for n in range(32))),
        ([b""], b""),
    ],
)
def test_lines_come_together_in_their_order(lines: list[bytes], state: bytes) -> None:
    assert combined(lines) == state


@pytest.mark.parametrize(
    "line",
    [
        b"foo",
        b"foo=",
        b"=1",
        b"Foo=1",
        b"foo =1",
        b"-foo=1",
        b"foo=1,\x7f",
        b"foo=1,foo=2",
        b"foo=\xe9",
        b"a=" + b"x" * 257,
        b"k" * 257 + b"=1",
        b",".join(b"k%d=1" % n for n in range(33)),
    ],
)
def test_what_is_no_tracestate_is_discarded(line: bytes) -> None:
    assert combined([line]) is None


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_came_out_once_comes_out_the_same_again(lines: list[bytes]) -> None:
    state = combined(lines)

    assert state is None or combined([state]) == state

"""The chain: what its digests cover, and that a run is followed to the very link that is not the next one."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.certifying.chain import BrokenChainError, Link, beginning, fingerprint, followed, following
from tests.fakes.pairs import answer

KEY = b"k" * 32
START = beginning("items", 1, "a-b-c-d")

links = st.builds(
    Link,
    st.just(0),
    st.text(max_size=8),
    st.sampled_from(["read", "write", "state"]),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["2xx", "none"]),
    st.integers(0, 1),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.binary(max_size=8),
)
Rows = list[tuple[object, ...]]


def chained(told: list[Link]) -> Rows:
    """As they stand in the file."""
    rows: Rows = []
    digest = START
    for ordinal, one in enumerate(told, 1):
        link = msgspec.structs.replace(one, ordinal=ordinal)
        digest = following(digest, link)
        rows.append((*msgspec.structs.astuple(link), digest))
    return rows


def test_a_digest_is_what_the_documentation_says() -> None:
    link = Link(1, "id", "read", "GET", "2xx", 0, "", b"a", b"")
    packed = msgspec.msgpack.encode([1, "id", "read", "GET", "2xx", 0, "", b"a", b""])
    assert following(START, link) == sha256(START + packed).digest()
    assert sha256(msgspec.msgpack.encode(["fig chain 1", "items", 1, "a-b-c-d"])).digest() == START


@given(st.lists(links, max_size=6))
def test_what_was_written_is_followed_to_its_end(told: list[Link]) -> None:
    rows = chained(told)
    assert [digest for _, digest in followed(START, rows)] == [row[-1] for row in rows]


def leave_out(rows: Rows, at: int) -> Rows:
    return rows[:at] + rows[at + 1 :]


def repeat(rows: Rows, at: int) -> Rows:
    return [*rows[: at + 1], *rows[at:]]


def swap(rows: Rows, at: int) -> Rows:
    return [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]]


def renumber(rows: Rows, at: int) -> Rows:
    """Left out, and the ones behind it numbered so that nobody sees a hole."""
    rest: Rows = [(row[0] - 1, *row[1:]) for row in rows[at + 1 :]]  # type: ignore[operator]
    return rows[:at] + rest


@pytest.mark.parametrize("alter", [leave_out, repeat, swap, renumber])
@given(st.lists(links, min_size=3, max_size=6), st.data())
def test_links_left_out_repeated_or_moved_are_found(
    alter: Callable[[Rows, int], Rows], told: list[Link], data: st.DataObject
) -> None:
    rows = chained(told)
    at = data.draw(st.integers(0, len(rows) - 2))
    with pytest.raises(BrokenChainError, match=rf"link {at + 1 if alter is not repeat else at + 2}: "):
        list(followed(START, alter(rows, at)))


def test_the_same_links_are_no_chain_of_another_window() -> None:
    rows = chained([Link(0, "id", "read", "GET", "2xx", 0, "", b"a", b"")])
    for other in (beginning("items", 2, "a-b-c-d"), beginning("other", 1, "a-b-c-d"), beginning("items", 1, "x")):
        with pytest.raises(BrokenChainError, match="link 1"):
            list(followed(other, rows))


def test_values_of_other_types_are_not_taken_for_the_right_ones() -> None:
    (row,) = chained([Link(0, "id", "read", "GET", "2xx", 1, "", b"a", b"")])
    for altered in ((*row[:5], 1.0, *row[6:]), (*row[:5], True, *row[6:]), (*row[:1], b"id", *row[2:]), row[:-1]):
        with pytest.raises(BrokenChainError, match="of a type that no link has"):
            list(followed(START, [altered]))


def test_fingerprints_tell_answers_apart_and_nothing_without_the_key() -> None:
    one, other = answer({"n": 1}), answer({"n": 2})
    found = {
        fingerprint(KEY, one, one),
        fingerprint(KEY, one, other),
        fingerprint(KEY, other, one),
        fingerprint(KEY, answer({"n": 1}, 201), one),
        fingerprint(KEY, one, answer({"n": 1}, headers=(("X", "y"),))),
        fingerprint(KEY, answer("a"), answer("bc")),
        fingerprint(KEY, answer("ab"), answer("c")),
        fingerprint(b"o" * 32, one, one),
    }
    assert len(found) == 8
    assert fingerprint(KEY, one, other) == fingerprint(KEY, answer({"n": 1}), answer({"n": 2}))

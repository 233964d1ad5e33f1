from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.matching.path import normalise, why_refused


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/api/products/7", "/api/products/7"),
        ("/api/products/", "/api/products/"),
        ("/%7Ejane/%61bc", "/~jane/abc"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/a|b[1]^{x}", "/a%7Cb%5B1%5D%5E%7Bx%7D"),
        ("/a//b///c", "/a/b/c"),
        ("//a", "/a"),
        ("/a/./b/.", "/a/b/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a//../b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/a%40b", "/a%40b"),
        ("/a@b", "/a@b"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/A/a", "/A/a"),
    ],
)
def test_a_path_has_one_form(raw: str, path: str) -> None:
    assert normalise(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        "", "a", "*", "http://x/", "/a%2Fb", "/a%2fb", "/a%5Cb", "/a\\b", "/a%00", "/a%0d%0a", "/a%7f", "/a\x00",
        "/a\x7f", "/a b", "/a\tb", "/a?b", "/a#b", "/%", "/%4",
        "/%zz", "/a/%%", "/..", "/../a", "/a/../../b", "/%2e%2e/a",
        "/a/..;/b", "/a/..;x=1/b", "/a/.;/b", "/a/%2e%2e;/b", "/a/..%3b/b", "/\u20ac", "/\udce9",
    ],
)  # fmt: skip
def test_what_has_no_single_reading_is_refused_in_words(raw: str) -> None:
    assert normalise(raw) is None
    assert why_refused(raw)


_PIECES = st.lists(
    st.sampled_from(
        [
            "/",
            "//",
            "/.",
            "/..",
            "a",
            "B",
            "%2e",
            "%2E",
            "%61",
            "%c3%a9",
            "%25",
            "2e",
            ";",
            "..;",
            "%3b",
            "|",
            "\xff",
            "é",
        ]
    )
    | st.characters(max_codepoint=0x180),
    max_size=12,
).map(lambda pieces: "/" + "".join(pieces))


@given(_PIECES)
@example("/%2e%2e;")
def test_normalising_twice_changes_nothing(raw: str) -> None:
    once = normalise(raw)
    if once is not None:
        assert normalise(once) == once


@given(_PIECES)
def test_a_normalised_path_has_no_dot_segments_empty_segments_or_ambiguous_bytes(raw: str) -> None:
    path = normalise(raw)
    if path is None:
        return
    segments = path.split("/")
    assert segments[0] == ""
    assert not {".", ".."} & {segment.split(";")[0] for segment in segments}
    assert "" not in segments[1:-1]
    assert path.isascii()
    assert path.isprintable()
    assert not any(bad in path for bad in (" ", "\\", "?", "#", "%2F", "%5C", "%00", "%2E", "%7E"))


@given(st.text("abc/.~-", max_size=20).map(lambda text: "/" + text))
def test_escaping_unreserved_characters_makes_no_difference(path: str) -> None:
    escaped = "".join(f"%{ord(character):02x}" if character != "/" else "/" for character in path)
    assert normalise(escaped) == normalise(path)

"""Whatever a client sends and whatever a capture holds: what leaves after a rewrite reads in one way only."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.canonical import request_head
from proxy.dataplane.heads import RequestHead, parse_answer, parse_request
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.rewrites import change_answer, outgoing
from rules.document import Defaults, Route
from rules.rewriting import RewriteError, SideChange, Values, compile_changes
from rules.stages import Side

visible = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f")
pieces = st.sampled_from(
    ["/", "..", ".", "%2e", "%2F", "?", "&", "=", "%0d%0a", ";", "//", "a", "%", "#", "{id}", "\\1", ":"]
)
targets = st.lists(st.one_of(pieces, st.text(visible, max_size=5)), max_size=12).map(lambda parts: "/" + "".join(parts))
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
names = st.sampled_from(["X-A", "x_a", "X-B", "Cookie", "Forwarded", "TE", "X-Kept"])
rewrites: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"path": "/v2{**}"},
        {"path": "/x/{id}?was={query}&id={id}"},
        {"prefix": "/p/{id}"},
        {"regex": {"match": "([a-z./%]+)", "replace": "\\1/../\\1"}},
        {"path": "/{host}/{client}/{request_id}", "host": "{host}"},
        {"host": "{id}.example"},
    ]
)


def change(rewrite: dict[str, Any]) -> SideChange:
    changes = {"remove": ["X-A"], "set": {"X-B": "{id} {**} {query}"}, "add": {"X-C": "{path}{request_id}"}}
    spec = Route.model_validate(
        {
            "name": "r",
            "match": {"path": "/{id}/**"},
            "candidate": "c",
            "rewrite": rewrite,
            "request_headers": changes,
            "response_headers": changes,
        }
    )
    found = compile_changes(spec, Defaults())[Side.CANDIDATE]
    assert found is not None
    return found


def parsed(target: str, lines: list[tuple[str, str]]) -> RequestHead | None:
    head = "\r\n".join((f"GET {target} HTTP/1.1", "Host: Shop.Example", *(f"{n}: {v}" for n, v in lines)))
    try:
        return parse_request(head.encode("latin-1"), "1.2.3.4")
    except Refusal:
        return None


def values_of(head: RequestHead, id: str) -> Values:
    own = {"client": head.client, "host": head.host, "path": head.path, "query": head.query, "request_id": "{r} ~"}
    return {**own, "id": id, "**": head.path, "route": "r", "side": "candidate"}


@given(targets, st.lists(st.tuples(names, values), max_size=5), rewrites, values)
def test_what_is_forwarded_reads_again_as_what_was_meant(
    target: str, lines: list[tuple[str, str]], rewrite: dict[str, Any], id: str
) -> None:
    head = parsed(target, lines)
    if head is None:
        return
    wanted = change(rewrite)
    try:
        sent = outgoing(head, wanted, values_of(head, id))
    except RewriteError:
        return
    raw = b"".join(request_head(head, sent.target, sent.lines, sent.host, b"", b"id", b"", b"", 0))
    again = parse_request(raw.removesuffix(b"\r\n\r\n"), "1.2.3.4")

    assert again.target == sent.target  # normalised already: nothing is left that a service could read otherwise
    assert again.host_value == sent.host
    assert [name for name in (field.name for field in again.fields) if name in ("x-a", "x_a")] == []
    assert len(again.values("x-b")) == len(again.values("x-c")) == 1
    kept = [field.value for field in head.fields if field.name == "x-kept"]
    assert [field.value for field in again.fields if field.name == "x-kept"] == kept


@given(st.lists(st.tuples(st.sampled_from(["X-A", "X_a", "Set-Cookie", "X-B", "Server"]), values), max_size=6), values)
def test_an_answers_head_reads_again_as_what_was_meant(lines: list[tuple[str, str]], id: str) -> None:
    head = parse_answer("\r\n".join(("HTTP/1.1 200 OK", *(f"{n}: {v}" for n, v in lines))).encode("latin-1"), "GET")
    request = parsed("/a", [])
    assert request is not None
    answer_fields = change({"path": "/"}).answer_fields
    assert answer_fields is not None
    change_answer(head, answer_fields, values_of(request, id))
    again = parse_answer((b"HTTP/1.1 200 OK\r\n" + b"".join(head.lines)).removesuffix(b"\r\n"), "GET")

    seen = [(field.name, field.value.decode("latin-1")) for field in again.fields]
    assert [value for name, value in seen if name == "set-cookie"] == [
        value.strip(" \t") for name, value in lines if name == "Set-Cookie"
    ]
    assert [name for name, _ in seen if name not in ("set-cookie", "server")] == ["x-b", "x-c"]

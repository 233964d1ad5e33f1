"""A copy that is adapted to the side that gets it, and how its answer is compared."""

from __future__ import annotations

import msgspec

from shadow.delivery.adapted import Adapted
from shadow.journal.writes import Original

RECEIVED = (("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X_From", "inside"))


def test_an_answer_is_compared_as_a_client_would_get_it() -> None:
    adapted = Adapted("/", "", [], ["x-from", "content-type"], [(b"Content-Type", b"text/html"), (b"X-From", b"new")])

    assert adapted.answer_headers(RECEIVED) == (
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Content-Type", "text/html"),
        ("X-From", "new"),
    )


def test_an_answer_of_which_nothing_is_changed_stays_as_it_is() -> None:
    assert Adapted("/v2", "", []).answer_headers(RECEIVED) == RECEIVED


def test_a_write_that_was_journaled_before_there_were_adapted_copies_is_read() -> None:
    before = ["id", "key", "/orders/7", "shop", [[b"Cookie", b"a=1"]], b"body", "idem", "unit"]
    read = msgspec.msgpack.Decoder(Original).decode(msgspec.msgpack.encode(before))

    assert (read.target, read.idempotency_key, read.copy) == ("/orders/7", "idem", None)


def test_what_is_journaled_with_a_copy_comes_back_with_it() -> None:
    copy = Adapted("/v2/7", "inside", [(b"X-A", b"\xff")], ["server"], [(b"X-B", b"1")])
    original = Original("id", "key", "/orders/7", "shop", [], b"", "idem", "", copy)

    assert msgspec.msgpack.Decoder(Original).decode(msgspec.msgpack.encode(original)) == original

"""Reads are unsettled by the writes of their own key, and by those of which no key is known."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.shadower.quiet import Quiet
from tests.fakes.shadowing import ROUTE, Service, Worker, effective, eventually, shadowing
from tests.proxy.shadower.test_shadower_deliveries import pairs

A, B, NONE = b"a", b"b", b""


def test_a_write_unsettles_reads_of_its_key_and_reads_without_one() -> None:
    quiet = Quiet()
    quiet.enter(ROUTE, key=A)

    assert not quiet.covers(ROUTE, 1.0, 2.0, A)
    assert not quiet.covers(ROUTE, 1.0, 2.0, NONE)
    assert quiet.covers(ROUTE, 1.0, 2.0, B)

    quiet.leave(ROUTE, 3.0, A)
    assert not quiet.covers(ROUTE, 2.5, 4.0, A)
    assert quiet.covers(ROUTE, 3.5, 4.0, A)
    assert not quiet.covers(ROUTE, 2.5, 4.0, NONE)


def test_a_write_without_a_key_unsettles_every_read_of_its_route() -> None:
    quiet = Quiet()
    quiet.enter(ROUTE)

    assert not quiet.covers(ROUTE, 1.0, 2.0, A)
    assert quiet.covers("another", 1.0, 2.0, A)


def test_keys_that_are_forgotten_unsettle_the_reads_that_began_before_they_became_quiet() -> None:
    quiet = Quiet(keys=1)
    for at, key in enumerate((A, B), start=1):
        quiet.enter(ROUTE, key=key)
        quiet.leave(ROUTE, float(at), key)

    assert not quiet.covers(ROUTE, 0.5, 3.0, A)
    assert quiet.covers(ROUTE, 1.5, 3.0, A)


steps = st.lists(st.tuples(st.sampled_from([A, B, NONE]), st.booleans()), max_size=30)


@given(st.integers(0, 3), steps, st.sampled_from([A, B, NONE]), st.integers(0, 31))
def test_it_never_covers_a_read_during_which_a_write_of_its_key_was_under_way(
    left_over: int, steps: list[tuple[bytes, bool]], key: bytes, started: int
) -> None:
    """Against the plain history of each write, also where a predecessor left copies of unknown keys (here: A's)."""
    quiet = Quiet()
    quiet.enter(ROUTE, left_over)
    under_way = [A] * left_over
    ended: list[tuple[bytes, float]] = []
    for at, (of, ends) in enumerate(steps, start=1):
        if not ends:
            quiet.enter(ROUTE, key=of)
            under_way.append(of)
        elif of in under_way:
            quiet.leave(ROUTE, float(at), of)
            under_way.remove(of)
            ended.append((of, float(at)))

    if quiet.covers(ROUTE, float(started), 100.0, key):
        touching = {A, B, NONE} if key == NONE else {key, NONE}
        assert not touching.intersection(under_way)
        assert all(at < started for of, at in ended if of in touching)


async def test_a_read_of_another_key_makes_a_pair_while_a_write_is_on_its_way(
    tmp_path: Path, candidate: Service
) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.intend("17")
        worker.mirror("/orders/17", started=time.time())
        worker.mirror("/orders/18", started=time.time())

        await eventually(lambda: pairs(fig) == (1, 0), "one pair")
        assert [target for target, _, _ in candidate.requests] == ["/orders/18"]

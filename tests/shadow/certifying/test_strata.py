"""The law of strata: what is told to the store is counted once, in one stratum, whatever the order and restarts."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.certifying.strata import Apart, StratumKind, status_class
from shadow.comparing.compare import judge
from shadow.journal.pairless import Pairless
from shadow.pair import Kind
from shadow.pairs import shedding
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import NOON, answer, pair

KEY = b"k" * 32
APART = [StratumKind.UNSETTLED, StratumKind.NO_PAIR, StratumKind.DROPPED]

events = st.one_of(
    st.tuples(st.just("read"), st.booleans(), st.sampled_from([200, 404, 0])),
    st.tuples(st.just("write"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("over"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("apart"), st.sampled_from(APART), st.integers(1, 3)),
    st.tuples(st.just("window"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("reopened"), st.just(0), st.just(0)),
)


@given(st.lists(events, max_size=25))
@settings(max_examples=60, deadline=None)
def test_the_sums_of_all_strata_are_what_was_captured(told: list[tuple[str, object, object]]) -> None:
    captured, written = 0, set()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.db"
        store = PairStore(file, KEY)
        for number, (what, one, other) in enumerate(told):
            if what == "read":
                status = int(str(other))
                reply = answer({}, status) if status else answer("", 0, failure="reset")
                made = pair(reply, answer({"n": 1} if one else {}, status), number)
                store.add_many([judge(made, Comparison())])
                captured += 1
            elif what == "write":  # which may be told again, after a crash, and may be over without a pair before
                made = pair(answer({}), answer({"n": 1} if other else {}), id=f"write-{one}", kind=Kind.WRITE)
                store.add_many([judge(made, Comparison())])
                written.add(one)
            elif what == "over":
                store.add_pairless("items", [Pairless(f"write-{one}", "POST", 422, NOON)] * 2, NOON)
                written.add(one)
            elif what == "apart":
                assert isinstance(one, StratumKind)
                store.add_apart("items", one, "GET", "2xx", int(str(other)))
                captured += int(str(other))
            elif what == "window":
                store.start_window("items", f"a-b-c-{one}", "load", NOON)
            else:
                store.close()
                store = PairStore(file, KEY)
        store.add_apart("items", StratumKind.DROPPED, "GET", "2xx", 0)  # so that there is a window
        store.close()
        with PairReader(file) as reader:
            counted = 0
            for window in reader.windows("items"):
                strata = reader.strata(window)
                compared = [one for one in strata if one.kind.compared]
                counted += sum(one.pairs for one in strata)
                assert sum(one.pairs for one in compared) == window.pairs == reader.chain(window).pairs
                assert sum(one.differing for one in compared) == window.differing
                assert sum(one.pairs for one in strata if one.kind is StratumKind.UNSETTLED) == window.unsettled
    assert counted == captured + len(written)


def test_what_could_not_be_stored_is_counted_the_next_time() -> None:
    apart = Apart()
    apart.add("items", StratumKind.DROPPED, "BREW", 999)
    taken = apart.take()
    apart.add("items", StratumKind.DROPPED, "GET", 200)
    apart.give_back(taken)
    assert apart.take() == Counter(
        {("items", StratumKind.DROPPED, "OTHER", "none"): 1, ("items", StratumKind.DROPPED, "GET", "2xx"): 1}
    )
    assert apart.take() == {}


def test_status_classes_are_those_of_http() -> None:
    assert [status_class(status) for status in (0, 99, 100, 204, 599, 600)] == [
        "none", "none", "1xx", "2xx", "5xx", "none",
    ]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pairs.db"


def fill(store: PairStore, first: int, count: int) -> None:
    for number in range(first, first + count):
        store.add_many([judge(pair(answer({}), answer({"n": 1} if number % 2 else {}), number), Comparison())])


def test_what_a_certificate_rests_on_stays_and_what_came_later_goes_as_ever(file: Path) -> None:
    store = PairStore(file, KEY)
    store.start_window("items", "a-b-c-d", "load", NOON)
    fill(store, 0, 10)
    with PairReader(file) as reader:
        chain = reader.chain(reader.windows("items")[0])
    links, head = chain.pairs, chain.head
    assert head is not None
    assert not store.pin("items", 1, "cert", links, b"another head", NOON)
    assert not store.pin("items", 2, "cert", links, head, NOON)
    assert store.pin("items", 1, "cert", links, head, NOON)
    fill(store, 10, 10)

    store.prune("items", NOON + 1000)
    for number in range(shedding.MOST_WINDOWS + 2):
        store.start_window("items", f"a-b-c-{number}", "load", NOON)
    store.prune("items", NOON + 1000)
    store.close()

    with PairReader(file) as reader:
        pinned = reader.windows("items")[-1]
        assert (pinned.number, reader.chain(pinned).pairs) == (1, 20)
        assert sorted(reader.kept_hashes("items", 1, 20)) == sorted(f"pair-{number}" for number in range(10))


def test_links_of_former_windows_go_when_their_time_is_over(file: Path) -> None:
    store = PairStore(file, KEY)
    store.start_window("items", "a-b-c-d", "load", NOON)
    fill(store, 0, 10)
    store.start_window("items", "a-b-c-e", "load", NOON)
    fill(store, 10, 5)
    left = []
    for _ in range(2):
        with PairReader(file) as reader:
            later, former = reader.windows("items")
            left.append((reader.chain(former).pairs, reader.chain(later).pairs))
        store.prune("items", NOON + 1000)
    store.close()
    assert left == [(10, 5), (0, 5)]

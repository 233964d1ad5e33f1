"""Counts of every pair, samples of those that tell something, readable while the shadower writes."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shadow.certifying.certificate import Certificate, CertificateVerdict
from shadow.certifying.strata import StratumKind
from shadow.certifying.terms import window_digest
from shadow.comparing.compare import Judged, judge
from shadow.comparing.differences import DifferenceKind
from shadow.pair import Kind
from shadow.pairs import store as store_module
from shadow.pairs.kept import MOST_BODY, MOST_PATH, MOST_VALUE, KeptPair, Unproven
from shadow.pairs.reader import PairReader
from shadow.pairs.shedding import EQUAL_SAMPLES, MOST_WINDOWS
from shadow.pairs.store import ELSEWHERE, SAMPLES, PairStore
from shadow.pairs.tables import StoreError
from shadow.pairs.windows import BEGINNING
from shadow.spec import CertificateTarget, Comparison
from tests.fakes.pairs import JSON_TYPE, NOON, answer, pair, text
from tests.fakes.refused_commits import commits_fail

KEY = b"k" * 32
PLAIN = Comparison()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pairs.db"


@pytest.fixture
def store(file: Path) -> Iterator[PairStore]:
    opened = PairStore(file, KEY)
    yield opened
    opened.close()


def equal(number: int, comparison: Comparison = PLAIN, **rest: Any) -> Judged:
    return judge(pair(answer({"n": number}), answer({"n": number}), number, **rest), comparison)


def different(number: int, field: str = "n", comparison: Comparison = PLAIN, **rest: Any) -> Judged:
    return judge(pair(answer({field: 1}), answer({field: 2}), number, **rest), comparison)


def test_every_pair_is_counted_by_route_and_place(store: PairStore, file: Path) -> None:
    store.add_many([equal(1), different(2), different(3), different(4, "m"), equal(5, route="other")])
    lists = judge(pair(answer([{"a": 1}, {"a": 1}]), answer([{"a": 2}, {"a": 2}]), 6), PLAIN)
    store.add_many([lists])
    with PairReader(file) as reader:
        assert reader.routes() == ("items", "other")
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing, window.last) == (5, 4, NOON + 6)
        found = [
            (each.path, each.kind, each.pairs, each.count, each.first, each.last) for each in reader.places(window)
        ]
        changed = DifferenceKind.VALUE_CHANGED
        assert found == [
            ("/n", changed, 2, 2, NOON + 2, NOON + 3),
            ("/*/a", changed, 1, 2, NOON + 6, NOON + 6),
            ("/m", changed, 1, 1, NOON + 4, NOON + 4),
        ]


def test_a_kept_pair_comes_back_with_its_differences(store: PairStore, file: Path) -> None:
    made = pair(answer({"n": 1.10, "same": "é"}), answer({"n": 1.20, "same": "é"}), kind=Kind.WRITE, sequence=17)
    store.add_many([judge(made, PLAIN)])
    with PairReader(file) as reader:
        kept = reader.pair(made.id)
        assert kept is not None
        assert kept.pair == made
        assert [(each.pointer, each.legacy, each.candidate) for each in kept.differences] == [("/n", "1.1", "1.2")]
        assert reader.pair("another") is None


def test_secrets_are_in_no_file_of_the_store(store: PairStore, file: Path) -> None:
    comparison = Comparison.model_validate({"redact": {"fields": ["/pin"], "query": ["token"]}})
    secret = "canary-of-the-mine"
    reply = answer({"pin": secret, "n": 1}, headers=(*JSON_TYPE, ("Set-Cookie", f"sid={secret}")))
    other = answer({"pin": secret + "2", "n": 2, "echo": secret})
    made = pair(reply, other, request_headers=(("Authorization", f"Bearer {secret}"),), target=f"/?token={secret}")
    store.add_many([judge(made, comparison)])
    with PairReader(file) as reader:
        kept = reader.pair(made.id)
    assert kept is not None
    assert secret not in repr(kept)
    assert "fig:" in repr(kept)
    assert not [each for each in file.parent.iterdir() if secret.encode() in each.read_bytes()]


def test_the_file_is_for_its_owner_only(store: PairStore, file: Path) -> None:
    store.add_many([equal(1)])
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}


def test_a_write_that_is_told_twice_is_one_pair(store: PairStore, file: Path) -> None:
    written = different(1, kind=Kind.WRITE, sequence=9)
    store.add_many([written, written])
    store.add_many([written, different(2)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing, window.writes) == (2, 2, 1)


def test_samples_are_bounded_and_counts_are_not(store: PairStore, file: Path) -> None:
    for first in range(0, 200, 50):
        store.add_many([each for number in range(first, first + 50) for each in (different(number),)])
    for number in range(200, 260):
        store.add_many([equal(number)])
    store.add_many([different(300, "rare")])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        common, rare = reader.places(window)
        assert (window.pairs, common.pairs) == (261, 200)
        assert len(reader.samples(window, common, 1000)) == SAMPLES
        assert [each.pair.id for each in reader.samples(window, rare, 1000)] == ["pair-300"]
        assert [each.pair.id for each in reader.equal(window, 1000)] == [
            f"pair-{number}" for number in range(259, 259 - EQUAL_SAMPLES, -1)
        ]


def test_places_beyond_the_bound_are_counted_as_one(
    store: PairStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MOST_PLACES", 3)
    store.add_many([different(number, f"field-{number}") for number in range(10)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        places = {each.path: each.pairs for each in reader.places(window)}
    assert places == {"/field-0": 1, "/field-1": 1, "/field-2": 1, ELSEWHERE: 7}


def test_keys_of_any_length_are_kept_and_told_apart_by_their_beginning(store: PairStore, file: Path) -> None:
    store.add_many([different(number, "x" * 100_000 + str(number)) for number in range(10)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        (place,) = reader.places(window)
        (sample, *_) = reader.samples(window, place, 10)
    assert place.pairs == 10
    assert len(place.path) <= MOST_PATH + 1
    assert [each.path for each in sample.differences] == [place.path]
    assert file.stat().st_size < 1_000_000


def test_a_key_that_is_a_secret_is_no_place(store: PairStore, file: Path) -> None:
    request = (("Cookie", "sid=the-session-of-ada"),)
    made = pair(answer({"by_session": {"the-session-of-ada": 1}}), answer({"by_session": {}}), request_headers=request)
    store.add_many([judge(made, PLAIN)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        (place,) = reader.places(window)
        (sample,) = reader.samples(window, place, 10)
    assert "the-session-of-ada" not in repr((place, sample))
    assert [each.path for each in sample.differences] == [place.path]


def test_long_bodies_and_values_are_kept_in_part_around_what_differs(store: PairStore, file: Path) -> None:
    legacy, candidate = ("x" * 300_000 + end + "y" * 300_000 for end in ("1", "2"))
    made = pair(text(legacy), text(candidate))
    store.add_many([judge(made, PLAIN)])
    with PairReader(file) as reader:
        kept = reader.pair(made.id)
    assert isinstance(kept, KeptPair)
    assert (len(kept.pair.legacy.body), kept.pair.legacy.truncated) == (MOST_BODY, True)
    (difference,) = kept.differences
    assert difference.legacy is not None
    assert "x1y" in difference.legacy
    assert len(difference.legacy) < MOST_VALUE + 10


def test_a_change_of_comparison_or_candidate_counts_anew_and_nothing_else_does(store: PairStore, file: Path) -> None:
    digest = window_digest(PLAIN, "http://one")
    assert store.start_window("items", digest, "first load", 1.0)
    store.add_many([different(1)])
    assert not store.start_window("items", digest, "reload", 2.0)
    store.add_many([different(2)])
    other = window_digest(PLAIN, "http://two")
    assert digest != other != window_digest(Comparison(headers=()), "http://two")
    assert store.start_window("items", other, "another candidate", 3.0)
    store.add_many([equal(3)])
    with PairReader(file) as reader:
        assert [(each.number, each.reason, each.pairs, each.differing) for each in reader.windows("items")] == [
            (2, "the candidate changed", 1, 0),
            (1, BEGINNING, 2, 2),
        ]


def test_windows_are_bounded(store: PairStore, file: Path) -> None:
    for number in range(MOST_WINDOWS + 5):
        store.start_window("items", f"digest {number}", "change", float(number))
        store.add_many([different(number)])
    with PairReader(file) as reader:
        assert [each.number for each in reader.windows("items")] == list(range(MOST_WINDOWS + 5, 5, -1))
    with sqlite3.connect(file) as connection:
        for table in ("places", "samples", "pairs", "ordinals"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (MOST_WINDOWS,)
    connection.close()


def read_certificate(file: Path, target: CertificateTarget) -> Certificate:
    with PairReader(file) as reader:
        return reader.certificate("items", target)


def test_a_store_opened_again_goes_on_where_it_was(file: Path) -> None:
    for round in range(2):
        store = PairStore(file, KEY)
        assert store.start_window("items", "digest", "load", 1.0) is (round == 0)
        store.add_many([different(round * 2), equal(round * 2 + 1)])
        store.close()
    target = CertificateTarget.model_validate({"accuracy": "50%", "pairs": 10})
    evidence = read_certificate(file, target).evidence
    assert (evidence.pairs, evidence.differing, evidence.differing_first) == (4, 2, 2)


def test_the_certificate_is_judged_on_the_first_pairs_of_the_window(store: PairStore, file: Path) -> None:
    target = CertificateTarget()
    assert read_certificate(file, target).verdict is CertificateVerdict.TOO_FEW
    store.add_many([equal(number) for number in range(300)])
    assert read_certificate(file, target).verdict is CertificateVerdict.GO
    store.add_many([different(1000)])
    later = read_certificate(file, target)
    assert (later.verdict, later.evidence.differing_first) == (CertificateVerdict.NO_GO, 0)
    allowing = CertificateTarget.model_validate({"differences": "allowed"})
    assert read_certificate(file, allowing).verdict is CertificateVerdict.GO
    store.set_unproven("items", Unproven(gaps=1, at=NOON))
    assert read_certificate(file, allowing).verdict is CertificateVerdict.FAULT
    store.set_unproven("items", Unproven(at=NOON))
    store.start_window("items", "changed", "another mask", 1.0)
    store.add_many([different(2000)])
    assert read_certificate(file, target).verdict is CertificateVerdict.NO_GO


def test_what_masks_excused_is_counted_apart(store: PairStore, file: Path) -> None:
    comparison = Comparison.model_validate({"masks": [{"path": "/*/at", "kind": "ignore"}]})
    legacy, candidate = (answer([{"at": side}, {"at": side}]) for side in (1, 2))
    store.add_many([judge(pair(legacy, candidate, number), comparison) for number in range(3)])
    store.add_apart("items", StratumKind.UNSETTLED, "GET", "2xx", 4)
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing, window.excused, window.unsettled) == (3, 0, 3, 4)
        assert [(each.mask, each.pairs, each.count) for each in reader.masks(window)] == [("/*/at ignore", 3, 6)]


def test_pruning_drops_pairs_and_keeps_counts(store: PairStore, file: Path) -> None:
    store.add_many([different(number) for number in range(100)])
    assert store.prune("items", NOON + 40) == 40
    store.add_many([different(number) for number in range(100, 200)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        (place,) = reader.places(window)
        samples = reader.samples(window, place, 1000)
    assert (window.pairs, place.pairs) == (200, 200)
    assert len(samples) == SAMPLES  # the room was used again
    assert min(each.pair.started for each in samples) == NOON + 40


def test_a_batch_that_fails_counts_nothing(store: PairStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_many([different(1)])
    monkeypatch.setattr(store_module, "encode", lambda kept: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.add_many([different(2), equal(3)])
    monkeypatch.undo()
    store.add_many([different(4)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing) == (2, 2)
    first_two = CertificateTarget.model_validate({"accuracy": "20%", "pairs": 2})
    assert read_certificate(file, first_two).evidence.differing_first == 2


def test_a_batch_that_a_full_disk_refuses_at_its_commit_counts_nothing(store: PairStore, file: Path) -> None:
    store.start_window("items", "a-b-c-d", "load", NOON)
    store.add_many([different(1), equal(2)])
    with commits_fail(store._connection), pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        store.add_many([different(3), equal(4)])
    store.add_many([equal(5)])
    with PairReader(file) as reader:
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing) == (3, 1)
        chain = reader.chain(window)
    assert (chain.pairs, chain.links) == (3, 3), "the chain goes on from what is stored"
    assert not store.start_window("items", "a-b-c-d", "load", NOON)


def test_a_reader_sees_one_moment_while_the_writer_goes_on(store: PairStore, file: Path) -> None:
    store.add_many([different(1)])
    with PairReader(file) as reader:
        (before,) = reader.windows("items")
        writer = threading.Thread(target=lambda: store.add_many([different(2)]))
        writer.start()
        writer.join(10)
        assert not writer.is_alive()
        assert reader.windows("items") == (before,)
        assert [each.pairs for each in reader.places(before)] == [1]
    with PairReader(file) as reader:
        assert reader.windows("items")[0].pairs == 2


def test_a_file_that_is_no_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no pairs; start `fig serve`"):
        PairReader(tmp_path / "pairs.db")
    (tmp_path / "junk.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match="move the file away"):
        PairStore(tmp_path / "junk.db", KEY)
    with pytest.raises(StoreError, match="not a database"):
        PairReader(tmp_path / "junk.db")
    with sqlite3.connect(tmp_path / "later.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        PairStore(tmp_path / "later.db", KEY)


def test_a_pair_that_was_on_its_way_when_its_window_ended_counts_in_that_one(file: Path) -> None:
    """Else the certificate of another candidate would rest on answers of the former one."""
    store = PairStore(file, KEY)
    one, other = answer({"n": 1}), answer({"n": 2})
    store.start_window("items", "m-c-former-r", "load", 1.0)
    store.add_many([judge(pair(one, one, 1), PLAIN)])
    store.start_window("items", "m-c-later-r", "load", 2.0)
    store.add_many(
        [
            judge(pair(one, one, 2, terms="m-c-later-r"), PLAIN),
            judge(pair(one, other, 3, terms="m-c-former-r"), PLAIN),
            judge(pair(one, other, 4, terms="of a window that is gone"), PLAIN),
        ]
    )
    store.add_many([judge(pair(one, one, 5, terms="m-c-former-r"), PLAIN)])
    store.close()
    with PairReader(file) as reader:
        later, former = reader.windows("items")
        assert [(each.pairs, each.differing) for each in (later, former)] == [(1, 0), (3, 1)]
        assert [reader.chain(each).pairs for each in (later, former)] == [1, 3]
        assert reader.chain(former).head is not None
        assert [(str(each.kind), each.pairs) for each in reader.strata(later)] == [("no_pair", 1), ("read", 1)]


def test_a_window_that_ends_with_a_day_gives_that_as_its_reason(file: Path) -> None:
    store = PairStore(file, KEY)
    days = {"m1-c-s-r": "the mask '/at uuid' expired"}
    store.start_window("items", "m1-c-s-r", "load", 1.0, lambda: days)
    store.start_window("items", "m2-c-s-r", "load", 2.0, lambda: days)
    store.start_window("items", "m3-c-s-r", "load", 3.0, lambda: days)
    store.close()
    with PairReader(file) as reader:
        assert [each.reason for each in reader.windows("items")] == [
            "the masks changed", "the mask '/at uuid' expired", BEGINNING,
        ]  # fmt: skip

"""The two files of an effective table: what is written, what is refused, what a reader finds in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy import publication
from proxy.publication import NAME, Draft, is_whole, pointed, publish, published
from rules.effective import Effective, Position
from rules.stages import Stage
from tests.fakes.many_routes import table


def rules_files(state: Path) -> set[str]:
    return {path.name for path in state.glob("rules-*")}


def test_what_is_published_is_read_again(tmp_path: Path) -> None:
    effective = table(3).moved(7, {"area1": Position(Stage.CANARY, 50_000, frozen=True)})

    publish(tmp_path, effective)

    assert published(tmp_path) == effective
    assert pointed(tmp_path) == effective.pointer


def test_before_anything_is_published_there_is_nothing(tmp_path: Path) -> None:
    assert published(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        pointed(tmp_path)


def test_a_move_writes_the_small_file_alone(tmp_path: Path) -> None:
    effective = table(3)
    publish(tmp_path, effective)
    (file,) = tmp_path.glob("rules-*")
    before = file.stat()

    publish(tmp_path, effective.moved(2, {"area1": Position(Stage.SHADOW, 0)}))

    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert pointed(tmp_path).generation == 2
    assert (tmp_path / NAME).stat().st_size < 300


def test_rules_that_neither_the_present_nor_the_former_table_names_are_removed(tmp_path: Path) -> None:
    first, second, third = (
        table(3, number, changed=0, stage=stage) for number, stage in enumerate(("live", "shadow", "legacy"), start=1)
    )
    for effective in (first, second, second.moved(3, {}), third.moved(4, {})):
        publish(tmp_path, effective)

    assert rules_files(tmp_path) == {second.pointer.file, third.pointer.file}


def test_rules_that_are_announced_and_not_yet_named_outlive_a_move(tmp_path: Path) -> None:
    running, following = table(3), table(4)
    publish(tmp_path, running)
    publication.write_rules(tmp_path, following)

    publish(tmp_path, running.moved(2, {"area1": Position(Stage.SHADOW, 0)}))

    assert is_whole(tmp_path, following.digest)


def test_what_is_discarded_was_never_in_force(tmp_path: Path) -> None:
    publish(tmp_path, table(3))

    Draft(tmp_path, table(4, 2)).discard()

    assert published(tmp_path) == table(3)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_files_are_for_this_user_alone(tmp_path: Path) -> None:
    publish(tmp_path, table(3))

    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[: data.rindex(b"\n", 0, -1) + 1],
        lambda data: data + b"{}\n",
        lambda data: data.replace(b"area1", b"area9", 1),
        lambda data: b"",
    ],
    ids=["torn within a line", "torn after a line", "too long", "changed", "empty"],
)
def test_rules_that_are_not_what_their_name_says_are_refused(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    publish(tmp_path, table(3))
    (file,) = tmp_path.glob("rules-*")
    assert is_whole(tmp_path, table(3).digest)

    file.write_bytes(damage(file.read_bytes()))

    assert not is_whole(tmp_path, table(3).digest)
    with pytest.raises(ValueError, match=r"end|damaged|go on|valid"):
        published(tmp_path)


def test_a_table_of_the_former_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"generation": 3, "rules": {"version": 1}, "positions": {}}')

    with pytest.raises(ValueError, match="of another version of fig"):
        published(tmp_path)


def test_rules_that_are_missing_are_refused_with_their_name(tmp_path: Path) -> None:
    publish(tmp_path, table(3))
    (file,) = tmp_path.glob("rules-*")
    file.unlink()

    with pytest.raises(ValueError, match=rf"names {file.name}, which is not there"):
        published(tmp_path)


def test_a_reader_whose_rules_were_removed_meanwhile_reads_the_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = table(4, 2)
    publish(tmp_path, table(3))
    opened = publication.open_rules

    def replaced_first(state: Path, digest: str):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(publication, "open_rules", opened)
        publish(state, newer)
        (state / publication.rules_file(digest)).unlink()
        return opened(state, digest)

    monkeypatch.setattr(publication, "open_rules", replaced_first)

    assert published(tmp_path) == newer


def test_a_disk_that_takes_no_rules_leaves_the_former_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, table(3))

    def full(effective: Effective):  # type: ignore[no-untyped-def]
        yield b"the beginning\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Effective, "digest", "0" * 32)
    monkeypatch.setattr(Effective, "lines", full)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, Effective(2, table(4).rules))
    monkeypatch.undo()

    assert published(tmp_path) == table(3)
    assert len(list(tmp_path.iterdir())) == 2

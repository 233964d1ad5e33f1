"""A folder of certificates that changes: when a change counts, and what is shown while something is wrong."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.certificates import following as module
from proxy.certificates.following import Following
from proxy.certificates.shown import Shown
from tests.fakes.certificates import Authority, Issued, serial_of
from tests.fakes.planes import until

AUTHORITY = Authority()
DAY = 86400.0


def shown(following: Following) -> dict[str, int]:
    """Serial numbers by name."""
    return {pair.name: serial_of(ssl.PEM_cert_to_DER_cert(pair.chain.decode())) for pair in following.shown.pairs}


async def followed(folder: Path) -> Following:
    found = Following(folder, Shown(), time.time)
    await found.look(asked=True)
    return found


@pytest.fixture
def first(tmp_path: Path) -> Issued:
    issued = AUTHORITY.issue("shop.example")
    issued.write(tmp_path, "shop")
    return issued


async def test_a_change_counts_once_the_folder_stands_still(tmp_path: Path, first: Issued) -> None:
    following, second = await followed(tmp_path), AUTHORITY.issue("shop.example")
    await following.look()
    with capture_logs() as logged:
        (tmp_path / "shop.key").write_bytes(second.key)
        await following.look()  # somebody is writing
        (tmp_path / "shop.crt").write_bytes(second.certificate)
        await following.look()
        assert shown(following) == {"shop": first.serial}
        await following.look()

    assert shown(following) == {"shop": second.serial}
    assert following.is_well
    assert [line["log_level"] for line in logged] == ["info"]


async def test_what_stays_broken_is_said_once_and_what_was_shown_stays(tmp_path: Path, first: Issued) -> None:
    following, other = await followed(tmp_path), AUTHORITY.issue("other.example")
    (tmp_path / "shop.key").write_bytes(other.key)
    other.write(tmp_path, "other")
    with capture_logs() as logged:
        for _ in range(5):
            await following.look()

    assert shown(following) == {"shop": first.serial, "other": other.serial}
    assert not following.is_well
    assert len([line for line in logged if line["log_level"] == "error"]) == 1

    (tmp_path / "shop.key").write_bytes(first.key)
    await following.look()
    await following.look()
    assert following.is_well


async def test_a_pair_that_was_taken_away_is_shown_no_more(tmp_path: Path, first: Issued) -> None:
    other = AUTHORITY.issue("other.example")
    other.write(tmp_path, "other")
    following = await followed(tmp_path)

    (tmp_path / "shop.key").unlink()
    await following.look(asked=True)
    assert shown(following) == {"shop": first.serial, "other": other.serial}  # half of it is a mistake
    (tmp_path / "shop.crt").unlink()
    await following.look(asked=True)

    assert shown(following) == {"other": other.serial}
    assert following.is_well


@pytest.mark.parametrize("how", ["emptied", "gone", "a file"])
async def test_a_folder_without_anything_changes_nothing(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "certificates"
    issued = AUTHORITY.issue("shop.example")
    issued.write(folder, "shop")
    following = await followed(folder)

    shutil.rmtree(folder)
    if how == "emptied":
        folder.mkdir()
    elif how == "a file":
        folder.touch()
    with capture_logs() as logged:
        for _ in range(4):
            await following.look()

    assert shown(following) == {"shop": issued.serial}
    assert not following.is_well
    assert len([line for line in logged if line["log_level"] == "error"]) == 1

    if how == "a file":
        folder.unlink()
    issued.write(folder, "shop")
    await following.look()
    await following.look()
    assert following.is_well


async def test_an_unchanged_certificate_keeps_its_context(tmp_path: Path, first: Issued) -> None:
    following = await followed(tmp_path)
    (before,) = following.shown.pairs
    context = following.shown.context_of(before)

    first.write(tmp_path, "shop")
    await following.look(asked=True)

    assert following.shown.context_of(following.shown.pairs[0]) is context


async def test_a_secret_is_swapped_by_its_link(tmp_path: Path) -> None:
    first, second = AUTHORITY.issue("shop.example"), AUTHORITY.issue("shop.example")
    folder = tmp_path / "certificates" / "shop"
    first.write(tmp_path, "one/", "tls.crt", "tls.key")
    second.write(tmp_path, "two/", "tls.crt", "tls.key")
    folder.mkdir(parents=True)
    (folder / "..data").symlink_to(tmp_path / "one")
    (folder / "tls.crt").symlink_to("..data/tls.crt")
    (folder / "tls.key").symlink_to("..data/tls.key")
    following = await followed(folder.parent)
    assert shown(following) == {"shop": first.serial}

    (folder / "..coming").symlink_to(tmp_path / "two")
    (folder / "..coming").rename(folder / "..data")
    await following.look()
    await following.look()

    assert shown(following) == {"shop": second.serial}


async def test_an_expiry_is_warned_of_once_also_when_it_comes_while_the_certificate_is_shown(
    tmp_path: Path, first: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    late = 0.0
    following = Following(tmp_path, Shown(), lambda: time.time() + late)
    AUTHORITY.issue().write(tmp_path, "nameless")
    with capture_logs() as logged:
        await following.look(asked=True)
        running = asyncio.create_task(following.run())
        await until(lambda: len(logged) >= 2, "the warning of the nameless one")
        late = 400 * DAY
        await until(lambda: len(logged) >= 4, "the warnings of expiry")
        await asyncio.sleep(0.1)
        running.cancel()

    warned = [(line["certificate"], line["problem"]) for line in logged if line["log_level"] == "warning"]
    assert len(warned) == 3
    assert ("shop", "has expired: clients will refuse it; replace it") in warned


async def test_a_reload_that_is_asked_for_waits_for_nothing(tmp_path: Path, first: Issued) -> None:
    following, second = await followed(tmp_path), AUTHORITY.issue("shop.example")
    running = asyncio.create_task(following.run())
    second.write(tmp_path, "shop")

    following.reload()

    await until(lambda: shown(following) == {"shop": second.serial}, "the second certificate")
    running.cancel()

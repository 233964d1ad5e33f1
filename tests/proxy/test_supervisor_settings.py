"""How fig runs: flags and variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from proxy.cli import app
from proxy.settings import Address, Settings, SettingsError, cores, parse_duration


def test_without_any_flag_every_setting_has_its_default() -> None:
    settings = Settings.parse({})

    assert (str(settings.listen), str(settings.admin)) == ("0.0.0.0:8080", "127.0.0.1:9900")
    assert (settings.workers, settings.drain, str(settings.state)) == (cores(), 30.0, ".fig")


def test_every_flag_of_serve_is_a_variable_too() -> None:
    options = get_command(app).commands["serve"].params  # type: ignore[attr-defined]

    assert {option.name: option.envvar for option in options} == {
        name: f"FIG_{name.upper()}"
        for name in (
            "config",
            "listen",
            "tls_listen",
            "certificates",
            "admin",
            "workers",
            "state",
            "drain",
            "handover",
            "max_connections",
            "journal_quota",
            "access_log",
            "otlp",
            "trace_sample",
            "trace_parents",
            "admin_token",
            "read_token",
        )
    }


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"FIG_TLS_LISTEN": "127.0.0.1:8443"}, "--tls-listen: needs --certificates"),
        ({"FIG_CERTIFICATES": "certificates"}, "--certificates: has no use without --tls-listen"),
        ({"FIG_LISTEN": "none"}, "--listen none: then clients need --tls-listen"),
        (
            {"FIG_LISTEN": "127.0.0.1:1", "FIG_TLS_LISTEN": "127.0.0.1:1", "FIG_CERTIFICATES": "certificates"},
            "plain HTTP listens there",
        ),
    ],
)
def test_where_clients_connect_has_to_fit_together(told: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Settings.parse(told)


def test_clients_may_come_by_tls_alone() -> None:
    settings = Settings.parse(
        {"FIG_LISTEN": "none", "FIG_TLS_LISTEN": "127.0.0.1:8443", "FIG_CERTIFICATES": "certificates"}
    )

    assert (settings.listen, str(settings.tls_listen)) == (None, "127.0.0.1:8443")


@pytest.mark.parametrize(("text", "part"), [("1%", 0.01), ("0.5%", 0.005), ("100%", 1.0), ("0%", 0.0)])
def test_the_access_log_tells_of_a_part_of_what_went_well(text: str, part: float) -> None:
    assert Settings.parse({"FIG_ACCESS_LOG": text}).access_log == part


@pytest.mark.parametrize("text", ["1", "101%", "-1%", "all", "1 %x"])
def test_what_is_no_part_is_refused_with_a_right_one(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--access-log: .*write 1%"):
        Settings.parse({"FIG_ACCESS_LOG": text})


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_reads_back_as_it_was_written(ip: object, port: int) -> None:
    address = Address(str(ip), port)

    assert Address.parse(str(address), "--listen") == address


@pytest.mark.parametrize("text", ["8080", "127.0.0.1", "127.0.0.1:", "::1:80", "[::1]", "[x]:1", "h:65536", "h:-1"])
def test_what_is_no_address_is_refused_with_a_right_one(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--listen: .*write "):
        Address.parse(text, "--listen")


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("500ms", 0.5), ("1.5m", 90), ("2h", 7200)])
def test_durations_are_numbers_with_their_unit(text: str, seconds: float) -> None:
    assert parse_duration(text, "--drain") == seconds


@pytest.mark.parametrize("text", ["30", "s", "-1s", "1 s", "1d2", "1e3s", ""])
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="write 30s"):
        parse_duration(text, "--drain")


@pytest.mark.parametrize("text", ["0", "1025", "two", "1.5", "-1", "²"])
def test_a_wrong_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="write 1 to 1024"):
        Settings.parse({"FIG_WORKERS": text})


def test_tokens_do_not_show_when_settings_are_printed() -> None:
    settings = Settings.parse({"FIG_ADMIN_TOKEN": "hush-hush", "FIG_READ_TOKEN": "hush"})

    assert "hush" not in repr(settings)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1000001", "1e4", "²"])
def test_a_wrong_number_of_connections_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--max-connections: .*write 20000"):
        Settings.parse({"FIG_MAX_CONNECTIONS": text})


def test_connections_are_as_many_as_descriptors_allow_unless_somebody_says() -> None:
    assert Settings.parse({}).max_connections is None
    assert Settings.parse({"FIG_MAX_CONNECTIONS": "12000"}).max_connections == 12_000


@pytest.mark.parametrize(("text", "size"), [("", None), ("500MB", 500 * 1024**2), ("20GB", 20 * 1024**3)])
def test_the_journals_quota_is_a_size(text: str, size: int | None) -> None:
    assert Settings.parse({"FIG_JOURNAL_QUOTA": text}).journal_quota == size


@pytest.mark.parametrize("text", ["0MB", "500", "500KB", "-1GB", "much"])
def test_a_wrong_quota_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--journal-quota: .*write 500MB"):
        Settings.parse({"FIG_JOURNAL_QUOTA": text})

"""What `fig serve` is told of traces: its own flags, OpenTelemetry's variables, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import trace_settings
from proxy.settings import SettingsError
from proxy.trace_settings import TraceSettings


def test_nobody_is_told_of_exchanges_unless_asked_to() -> None:
    settings = TraceSettings.parse({})

    assert (settings.endpoint, settings.sample, settings.decides) == ("", 0, False)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://otel.example/fig/", "https://otel.example/fig/v1/traces"),
        ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
    ],
)
def test_a_collector_gets_one_in_a_hundred_exchanges_by_default(given: str, endpoint: str) -> None:
    settings = TraceSettings.parse({"FIG_OTLP": given})

    assert settings == TraceSettings(endpoint=endpoint, sample=10_000, parents=1_000_000)


def test_opentelemetrys_variables_are_heeded_and_figs_own_flag_goes_first() -> None:
    general = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://general:4318"}
    traces = {**general, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4318/in"}
    own = {**traces, "FIG_OTLP": "http://own:4318"}

    assert TraceSettings.parse(general).endpoint == "http://general:4318/v1/traces"
    assert TraceSettings.parse(traces).endpoint == "http://traces:4318/in"
    assert TraceSettings.parse(own).endpoint == "http://own:4318/v1/traces"
    assert TraceSettings.parse({**general, "OTEL_SDK_DISABLED": "true"}).endpoint == ""
    assert TraceSettings.parse({**general, "OTEL_TRACES_EXPORTER": "none"}).endpoint == ""


def test_fig_can_decide_which_traces_are_sampled_and_record_none_itself() -> None:
    settings = TraceSettings.parse({"FIG_TRACE_SAMPLE": "20%"})

    assert (settings.endpoint, settings.sample, settings.decides) == ("", 200_000, True)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"FIG_OTLP": "collector:4318"}, "--otlp: 'collector:4318' is no collector's URL"),
        ({"FIG_OTLP": "http://me:s3cret@collector:4318"}, "--otlp: 'collector:4318' is no collector's URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://x"}, "OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://x'"),
        ({"FIG_TRACE_SAMPLE": "5"}, "--trace-sample: '5' is not a part"),
        ({"FIG_TRACE_PARENTS": "200%"}, "--trace-parents: '200%' is not a part"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variables: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)) as caught:
        TraceSettings.parse(variables)

    assert "s3cret" not in str(caught.value)


def test_without_the_extra_a_collector_is_refused_and_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_settings, "_EXPORTER", "opentelemetry_is_away.exporter")

    with pytest.raises(SettingsError, match=r"strangler-fig\[otel\]"):
        TraceSettings.parse({"FIG_OTLP": "http://127.0.0.1:4318"}).check_installed()
    TraceSettings.parse({}).check_installed()


def test_fig_serve_ends_with_2_where_opentelemetry_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    told = {**os.environ, "PYTHONPATH": str(tmp_path), "FIG_OTLP": "http://127.0.0.1:4318"}
    ended = subprocess.run([sys.executable, "-m", "proxy.cli", "serve"], env=told, capture_output=True, timeout=50)

    assert ended.returncode == 2
    assert b"pip install 'strangler-fig[otel]'" in ended.stderr

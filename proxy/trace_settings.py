"""Which exchanges are recorded as spans, and where spans go: FIG_ variables, and OpenTelemetry's own.

Read by `fig serve` (to refuse what cannot be), by workers (which record) and by control (which exports). They all
inherit the same environment, so nobody hands these on. Imports nothing of OpenTelemetry: it is an extra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Self
from urllib.parse import urlsplit

from proxy.settings import SettingsError, parse_part

DEFAULT_SAMPLE = "1%"
DEFAULT_PARENTS = "100%"
_PATH = "/v1/traces"
"""Where a collector takes spans (OTLP specification, "OTLP/HTTP Request")."""
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """Shares are millionths."""

    endpoint: str = ""
    """URL that spans are posted to; ``""``: none are made."""
    sample: int = 0
    """Part of the exchanges, of those whose route says nothing (`trace`), that is recorded."""
    parents: int = _MILLION
    """Part of the requests that come with a traceparent already sampled that is recorded for that reason."""

    @property
    def decides(self) -> bool:
        """Whether fig decides about traces at all: where it does not, it only passes on what came."""
        return bool(self.endpoint or self.sample)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """From the variables in `texts`; what is absent or empty takes its default. Raises SettingsError."""

        def text(name: str) -> str:
            return texts.get(name, "").strip()

        endpoint = _endpoint(text)
        sample = text("FIG_TRACE_SAMPLE") or (DEFAULT_SAMPLE if endpoint else "0%")
        parents = text("FIG_TRACE_PARENTS") or DEFAULT_PARENTS
        return cls(
            endpoint=endpoint,
            sample=round(parse_part(sample, "--trace-sample") * _MILLION),
            parents=round(parse_part(parents, "--trace-parents") * _MILLION),
        )

    def check_installed(self) -> None:
        """Raises SettingsError where spans are asked for and what sends them is not installed."""
        if self.endpoint and not _is_installed():
            raise SettingsError(
                f"--otlp: spans are to go to {self.endpoint}, but OpenTelemetry is not installed; "
                "pip install 'strangler-fig[otel]', or leave --otlp (and OTEL_EXPORTER_OTLP_ENDPOINT) out"
            )


NO_TRACES = TraceSettings()


def _endpoint(text: Callable[[str], str]) -> str:
    """The URL for spans: fig's own flag first, then OpenTelemetry's variables, as its exporter reads them."""
    if text("FIG_OTLP"):
        return _with_path(text("FIG_OTLP"), "--otlp")
    if text("OTEL_SDK_DISABLED").lower() == "true" or text("OTEL_TRACES_EXPORTER").lower() == "none":
        return ""
    if text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):  # of this one alone the path is meant as it stands
        return _checked(text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if text("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return _with_path(text("OTEL_EXPORTER_OTLP_ENDPOINT"), "OTEL_EXPORTER_OTLP_ENDPOINT")
    return ""


def _with_path(url: str, source: str) -> str:
    url = _checked(url, source).rstrip("/")
    return url if url.endswith(_PATH) else url + _PATH


def _checked(url: str, source: str) -> str:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or re.search(r"[^!-~]", url) or parts.username is not None or parts.query or parts.fragment:
        shown = url.rpartition("@")[2]  # what stands before it may be a password
        raise SettingsError(f"{source}: '{shown:.80}' is no collector's URL; write http://127.0.0.1:4318")
    return url


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None and find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False

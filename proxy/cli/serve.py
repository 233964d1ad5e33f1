"""`fig serve`: check what was told, then become the supervisor."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from proxy import settings
from proxy.settings import Settings, SettingsError
from proxy.trace_settings import DEFAULT_PARENTS, TraceSettings


def serve(
    config: Annotated[
        str, typer.Option("--config", "-c", envvar="FIG_CONFIG", help="Rules file, or a folder of them.")
    ] = settings.DEFAULT_RULES,
    listen: Annotated[
        str,
        typer.Option(envvar="FIG_LISTEN", help="Where clients connect; [::]:8080 for IPv6 and IPv4, or none."),
    ] = settings.DEFAULT_LISTEN,
    tls_listen: Annotated[
        str,
        typer.Option(envvar="FIG_TLS_LISTEN", help="Where clients connect by TLS: 0.0.0.0:8443. Needs --certificates."),
    ] = settings.NOWHERE,
    certificates: Annotated[
        str,
        typer.Option(
            envvar="FIG_CERTIFICATES",
            help="Folder of the certificates for TLS, such as shop.crt with shop.key.",
            show_default=False,
        ),
    ] = "",
    admin: Annotated[
        str, typer.Option(envvar="FIG_ADMIN", help="Where the admin API listens.")
    ] = settings.DEFAULT_ADMIN,
    workers: Annotated[
        str, typer.Option(envvar="FIG_WORKERS", help="Worker processes. [default: one per core]", show_default=False)
    ] = "",
    state: Annotated[
        str, typer.Option(envvar="FIG_STATE", help="Folder for stages, history, journal and pairs.")
    ] = settings.DEFAULT_STATE,
    drain: Annotated[
        str, typer.Option(envvar="FIG_DRAIN", help="How long exchanges may take to end after SIGTERM.")
    ] = settings.DEFAULT_DRAIN,
    max_connections: Annotated[
        str,
        typer.Option(
            envvar="FIG_MAX_CONNECTIONS",
            help="Clients that each worker holds at once; one more gets 503. "
            "[default: what file descriptors allow, 20000 at most]",
            show_default=False,
        ),
    ] = "",
    handover: Annotated[
        str,
        typer.Option(
            envvar="FIG_HANDOVER",
            help="How long a worker that a restart replaced may go on with WebSockets and answers under way.",
        ),
    ] = settings.DEFAULT_HANDOVER,
    journal_quota: Annotated[
        str,
        typer.Option(
            envvar="FIG_JOURNAL_QUOTA",
            help="What the journal may hold (20GB) before writes on routes with `writes:` are refused. "
            "[default: what the disk takes]",
            show_default=False,
        ),
    ] = "",
    access_log: Annotated[
        str,
        typer.Option(
            envvar="FIG_ACCESS_LOG", help="Part of good exchanges that is logged; 5xx and failures always are."
        ),
    ] = settings.DEFAULT_ACCESS_LOG,
    otlp: Annotated[
        str,
        typer.Option(
            envvar="FIG_OTLP",
            help="OpenTelemetry collector that gets spans: http://127.0.0.1:4318. Needs strangler-fig[otel].",
            show_default=False,
        ),
    ] = "",
    trace_sample: Annotated[
        str,
        typer.Option(
            envvar="FIG_TRACE_SAMPLE",
            help="Part of the exchanges that has spans, where a route's trace says nothing. [default: 1% with --otlp]",
            show_default=False,
        ),
    ] = "",
    trace_parents: Annotated[
        str,
        typer.Option(
            envvar="FIG_TRACE_PARENTS",
            help="Part of the requests that come with a traceparent already sampled that stay so.",
        ),
    ] = DEFAULT_PARENTS,
    admin_token: Annotated[
        str,
        typer.Option(
            envvar="FIG_ADMIN_TOKEN",
            help="Token for changes; needed when the admin API does not listen on loopback. Better as a variable.",
            show_default=False,
        ),
    ] = "",
    read_token: Annotated[
        str,
        typer.Option(envvar="FIG_READ_TOKEN", help="Token for reading, another one.", show_default=False),
    ] = "",
) -> None:
    """Serve traffic by the rules file. SIGHUP reloads it, SIGUSR2 restarts in turn, SIGTERM drains and ends."""
    told = {
        "FIG_CONFIG": config,
        "FIG_LISTEN": listen,
        "FIG_TLS_LISTEN": tls_listen,
        "FIG_CERTIFICATES": certificates,
        "FIG_ADMIN": admin,
        "FIG_WORKERS": workers,
        "FIG_STATE": state,
        "FIG_DRAIN": drain,
        "FIG_HANDOVER": handover,
        "FIG_MAX_CONNECTIONS": max_connections,
        "FIG_JOURNAL_QUOTA": journal_quota,
        "FIG_ACCESS_LOG": access_log,
        "FIG_OTLP": otlp,
        "FIG_TRACE_SAMPLE": trace_sample,
        "FIG_TRACE_PARENTS": trace_parents,
        "FIG_ADMIN_TOKEN": admin_token,
        "FIG_READ_TOKEN": read_token,
    }
    try:
        Settings.parse(told)
        TraceSettings.parse({**os.environ, **told}).check_installed()
    except SettingsError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(2) from exc
    # The supervisor stays for long and must stay small: it replaces this process and all that the command line imports.
    os.execve(sys.executable, [sys.executable, "-P", "-m", "proxy.supervisor"], {**os.environ, **told})  # noqa: S606


alone = typer.Typer(name="fig", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
"""`fig` without its other commands."""
alone.command("serve")(serve)


@alone.callback()
def _fig() -> None:
    """Leave a monolith one route at a time, with proof at every step."""

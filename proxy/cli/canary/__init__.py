"""`fig canary`: may a route have more traffic, and on what evidence. A command per file, registered by one line."""

from __future__ import annotations

import typer

from proxy.cli.canary.gate import ask_gate
from proxy.cli.canary.import_kayenta import import_kayenta
from proxy.cli.canary.probe import run_probes
from proxy.cli.canary.report import show_report
from proxy.cli.canary.simulate import simulate

app = typer.Typer(no_args_is_help=True, help="Ask whether a route may have more traffic.")
app.command("gate")(ask_gate)
app.command("import")(import_kayenta)
app.command("probe")(run_probes)
app.command("report")(show_report)
app.command("simulate")(simulate)


@app.callback()
def _canary() -> None:
    """Ask whether a route may have more traffic."""

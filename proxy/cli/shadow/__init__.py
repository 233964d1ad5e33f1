"""`fig shadow`: what legacy and candidate answered differently, and what is done about it. A command per file."""

from __future__ import annotations

import typer

from proxy.cli.shadow import deliveries, doubts, gaps
from proxy.cli.shadow.backfill import backfill_route
from proxy.cli.shadow.causes import acknowledge_cause, list_causes
from proxy.cli.shadow.certify import certify, show_key, verify_certificate
from proxy.cli.shadow.export import export_pair
from proxy.cli.shadow.noise import show_noise, suggest_masks
from proxy.cli.shadow.pins import list_pins, unpin_certificate
from proxy.cli.shadow.replay import replay_pairs
from proxy.cli.shadow.report import report_pairs
from proxy.cli.shadow.show import show_pair

app = typer.Typer(no_args_is_help=True, help="Read what legacy and candidate answered differently.")
app.command("report")(report_pairs)
app.command("certify")(certify)
app.command("verify")(verify_certificate)
app.command("key")(show_key)
app.command("pins")(list_pins)
app.command("unpin")(unpin_certificate)
app.command("show")(show_pair)
app.command("causes")(list_causes)
app.command("acknowledge")(acknowledge_cause)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(doubts.app, name="doubts")
app.add_typer(gaps.app, name="gaps")
app.command("replay")(replay_pairs)
app.command("export")(export_pair)
app.command("noise")(show_noise)
app.command("suggest")(suggest_masks)
app.command("backfill")(backfill_route)


@app.callback()
def _shadow() -> None:
    """Read what legacy and candidate answered differently."""

"""Every command of `fig`, by its name."""

from __future__ import annotations

import typer

from proxy.cli import canary, moves, rules, shadow
from proxy.cli.demo import demo
from proxy.cli.restart import restart
from proxy.cli.serve import serve
from proxy.cli.slo import slo

app = typer.Typer(
    name="fig",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Leave a monolith one route at a time, with proof at every step.",
)
app.command("demo")(demo)
app.command("serve")(serve)
app.command("restart")(restart)
app.command("status")(moves.status)
app.command("stage")(moves.stage)
app.command("promote")(moves.promote)
app.command("approve")(moves.approve)
app.command("rollback")(moves.rollback)
app.command("abort")(moves.abort)
app.command("freeze")(moves.freeze)
app.command("unfreeze")(moves.unfreeze)
app.command("history")(moves.history)
app.command("slo")(slo)
app.add_typer(rules.app, name="rules")
app.add_typer(shadow.app, name="shadow")
app.add_typer(canary.app, name="canary")

"""`fig status`, `fig history`, and the commands that move routes. Each is one call of the admin API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption, of_route
from proxy.cli.figures import history_table, position, status_table, wide_console
from proxy.settings import DEFAULT_ADMIN
from rules.stages import Stage

RouteArgument = Annotated[str, typer.Argument(help="The route's name in the rules file.", show_default=False)]
WhyOption = Annotated[str, typer.Option("--why", help="Reason, for the history.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def _asking(call: Callable[[], Any]) -> Any:
    """What `call` gives; its failure as a sentence on stderr and an exit code."""
    try:
        return call()
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2))


def status(as_json: JsonOption = False, admin: AdminOption = DEFAULT_ADMIN, token: TokenOption = "") -> None:
    """Show where each route stands: stage, share, requests, errors, latency, verdict."""
    document = _asking(lambda: Admin(admin, token).get("/api/status"))
    if as_json:
        _print_json(document)
        return
    console = wide_console()
    up = sum(1 for peer in document["peers"] if peer["name"].startswith("worker") and peer["current"])
    by_tls = document.get("tls_listen")
    addresses = [document["listen"], f"{by_tls} (TLS)" if by_tls else None]
    console.print(
        f"generation {document['generation']}, {up} of {document['workers_expected']} workers, listening on "
        f"{' and '.join(address for address in addresses if address)}",
    )
    for problem in document["rules"]["problems"]:
        console.print(f"rules refused: {problem}", style="red")
    console.print(status_table(document))
    for objective in document.get("slo", ()):
        if objective["level"]:
            console.print(objective["sentence"], style="yellow" if objective["level"] == "ticket" else "bold red")
    if document.get("routes_left_out"):
        console.print(
            f"and {document['routes_left_out']:,} more routes, which stand where the file says, without traffic"
        )


def history(
    route: Annotated[str, typer.Argument(help="Only this route's.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many lines, the latest first.")] = 20,
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Show who or what moved routes, from where to where, and why."""
    query = {"limit": str(limit), **({"route": route} if route else {})}
    document = _asking(lambda: Admin(admin, token).get("/api/history", **query))
    if as_json:
        _print_json(document)
    else:
        wide_console().print(history_table(document["history"]))


def _move(admin: Admin, route: str, action: str, body: dict[str, Any], as_json: bool) -> None:
    """Ask for a move and say what came of it; exit code 1 when some worker does not decide by it yet."""
    moved = _asking(lambda: admin.post(of_route(route, action), body))
    if as_json:
        _print_json(moved)
    else:
        workers = "worker" if moved["workers"] == 1 else "workers"
        stays = moved["before"] == moved["after"]
        what = f"{action}, {moved['why']}" if stays else f"{position(moved['before'])} -> {position(moved['after'])}"
        typer.echo(
            f"{route}: {what} (generation {moved['generation']}, {moved['workers'] - len(moved['missing'])} {workers})"
        )
    for reason in moved.get("went_past", ()):
        typer.echo(f"fig: the pilot would have waited: {reason}", err=True)
    if not moved["acknowledged"]:
        typer.echo("fig: the move is recorded, but not every worker decides by it yet:", err=True)
        for missing in moved["missing"]:
            typer.echo(f"  {missing}", err=True)
        raise typer.Exit(1)


def stage(
    route: RouteArgument,
    to: Annotated[
        Stage,
        typer.Argument(metavar="STAGE", help="legacy, shadow, canary, live or retired.", show_default=False),
    ],
    share: Annotated[str, typer.Option(help="Part of units on the candidate: 5%.", show_default=False)] = "",
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Put a route into a stage. Back to shadow ends its attempt: the pilot does not begin another by itself."""
    body = {"stage": to.value, "why": why, **({"share": share} if share else {})}
    _move(Admin(admin, token), route, "stage", body, as_json)


def promote(
    route: RouteArgument,
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Take a route one step up: the next stage, or the next share of its rollout.

    What the pilot would have waited for (hours, approvals, others of its group, caps, probes, budgets, its gate) holds
    nobody up; the command says what it went past, and the history keeps it.
    """
    _move(Admin(admin, token), route, "promote", {"why": why}, as_json)


def rollback(
    route: RouteArgument,
    to: Annotated[str, typer.Option(help="shadow (copies go on) or legacy (they end).")] = "shadow",
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Send every unit of a route back to legacy, at once."""
    _move(Admin(admin, token), route, "rollback", {"to": to, "why": why}, as_json)


def approve(
    route: RouteArgument,
    step: Annotated[
        str, typer.Option(help="Which step is meant: 25%, or live; else the next one.", show_default=False)
    ] = "",
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Agree to the next step of a route's rollout, which wants a person's approval; it is still taken by the pilot."""
    body = {"why": why, **({"step": step} if step else {})}
    _move(Admin(admin, token), route, "approve", body, as_json)


def abort(
    route: RouteArgument,
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """End a route's attempt: every unit back to legacy, and the pilot does not begin another by itself."""
    _move(Admin(admin, token), route, "abort", {"why": why}, as_json)


def freeze(
    route: RouteArgument,
    hold_against_rollback: Annotated[
        bool, typer.Option("--hold-against-rollback", help="Do not even roll back where harm is proven.")
    ] = False,
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Stop the pilot from giving a route more traffic; proven harm is still rolled back, unless told otherwise."""
    body = {"why": why, **({"hold_against_rollback": True} if hold_against_rollback else {})}
    _move(Admin(admin, token), route, "freeze", body, as_json)


def unfreeze(
    route: RouteArgument,
    why: WhyOption = "",
    as_json: JsonOption = False,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Let a route move again; a deadline of its rollout counts anew from now."""
    _move(Admin(admin, token), route, "unfreeze", {"why": why}, as_json)

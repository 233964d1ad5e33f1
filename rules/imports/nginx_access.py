"""Whom nginx lets in, by `limit_except`, `allow` and `deny`, as part of a match."""

from __future__ import annotations

from collections.abc import Sequence

from rules.imports.conf import Directive
from rules.imports.draft import Plain
from rules.match import Match

Chain = Sequence[Directive]
"""The blocks around a directive, http first."""


def narrowed_by(chain: Chain) -> tuple[Plain, Directive]:
    """Which methods and clients are let in, as part of a match, and the directive that refuses the others."""
    methods, refused = _methods(chain)
    clients, denied = _clients(chain)
    found: Plain = {"methods": methods} if methods else {}
    return (found | {"client": clients}, denied) if clients else (found, refused)


def _clients(chain: Chain) -> tuple[list[str], Directive]:
    """The networks that `allow` names before `deny all`; none where they do not stand so."""
    level = next((block for block in reversed(chain) if block.all("allow") or block.all("deny")), chain[-1])
    said = [each for each in level.block if each.name in ("allow", "deny") and each.args]
    if not said or (said[-1].name, said[-1].args) != ("deny", ("all",)) or any(e.name == "deny" for e in said[:-1]):
        return [], chain[-1]
    networks = [each.args[0] for each in said[:-1]]
    if not networks or not _is_said(networks):
        return [], chain[-1]
    for each in said:
        each.use()
    return networks, said[-1]


def _methods(chain: Chain) -> tuple[list[str], Directive]:
    """Which methods `limit_except` leaves; none where it does not stand."""
    for directive in chain[-1].all("limit_except"):
        if [(each.name, each.args) for each in directive.block] == [("deny", ("all",))]:
            directive.use().block[0].use()
            methods = [each.upper() for each in directive.args]
            return methods + (["HEAD"] if "GET" in methods and "HEAD" not in methods else []), directive
    return [], chain[-1]


def _is_said(networks: list[str]) -> bool:
    try:
        Match.model_validate({"client": networks})
    except ValueError:
        return False
    return True

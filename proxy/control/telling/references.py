"""What the blocks `webhooks`, `notify` and `slo` of a rules file refer to, and what their secrets must not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.control.telling.spec import Receiver
from rules.names import check_name
from rules.problems import Problem, suggestion
from rules.reading.checks import keys_of, name_of, routes_of, text_of
from rules.reading.loader import Loaded
from rules.reading.nodes import Mapping, Node, Sequence


def references(root: Mapping) -> Iterator[Problem]:
    """Names that are no names, and routes and services that there are not."""
    routes = sorted(filter(None, (name_of(route) for route in routes_of(root))))
    services = keys_of(root.get("services"))
    for block in _blocks(root, ("webhooks", "notify")):
        named = block.get("routes")
        for node in named.items if isinstance(named, Sequence) else ():
            yield from _unknown(node, routes, "'routes': no route", "unknown-route")
    for block in _blocks(root, ("slo",)):
        for key, known in (("route", routes), ("service", services)):
            name = block.get(key)
            if name is not None:
                yield from _unknown(name, known, f"'{key}': no {key}", f"unknown-{key}")
    for key in ("webhooks", "notify", "slo"):
        blocks = root.get(key)
        for given, _ in blocks.entries if isinstance(blocks, Mapping) else ():
            try:
                check_name(str(given.value))
            except ValueError as exc:
                yield Problem(given.place, str(exc), "wrong-value")


def secrets_in_files(loaded: Loaded) -> list[Problem]:
    """Secrets that stand in the file itself, for all to read who may read the rules."""
    filled = set(loaded.given.values())
    found: list[Problem] = []
    for key in ("webhooks", "notify"):
        for name, receiver in loaded.named[key].items():
            secret = getattr(receiver, "secret", None)
            if isinstance(receiver, Receiver) and secret is not None and secret not in filled:
                message = "'secret': stands in the file; put it into the environment and write ${NAME}"
                found.append(Problem(loaded.place(key, name, "secret"), message, "secret-in-file"))
    return found


def _blocks(root: Mapping, keys: Iterable[str]) -> Iterator[Mapping]:
    for key in keys:
        named = root.get(key)
        for _, block in named.entries if isinstance(named, Mapping) else ():
            if isinstance(block, Mapping):
                yield block


def _unknown(node: Node, known: Iterable[str], what: str, code: str) -> Iterator[Problem]:
    name = text_of(node)
    if name and name not in known:
        yield Problem(node.place, f"{what} is named '{name}'{suggestion(name, known)}", code)

"""Where Pinnacle lies, and this run's own copy of its rules file: ports, figures, cart's next release."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import proxy
from proxy.demo.pace import Pace

SERVICES = ("legacy", "products", "cart", "reviews", "checkout")
RULES = "fig.yaml"


class ExampleError(Exception):
    """The example is not there, or not as the demo needs it."""


def find() -> Path:
    """The folder examples/pinnacle: inside the installed package, or beside it in a checkout. Raises ExampleError."""
    package = Path(proxy.__file__).parent
    places = (package / "examples" / "pinnacle", package.parent / "examples" / "pinnacle")
    for place in places:
        if (place / RULES).is_file():
            return place
    raise ExampleError(f"the example is missing: neither {places[0]} nor {places[1]} has a {RULES}; install fig again")


def at_url(rules: str, service: str, url: str) -> str:
    """`rules` with another URL for `service`; all else stays as it was written. Raises ExampleError."""
    pattern = re.compile(rf"^(  {re.escape(service)}:\s*\{{url: )[^,}}]+", re.MULTILINE)
    changed, count = pattern.subn(lambda found: found[1] + url, rules)
    if count != 1:
        raise ExampleError(f"{RULES} has no line '  {service}: {{url: ...}}'")
    return changed


def at_pace(rules: str, pace: Pace) -> str:
    """`rules` with the figures of `pace`. Raises ExampleError."""
    for figure, instead in pace.figures:
        if figure not in rules:
            raise ExampleError(f"{RULES} does not say '{figure}', which the {pace.name} pace would change")
        rules = rules.replace(figure, instead)
    return rules


def rules_for(rules: str, ports: Mapping[str, int], pace: Pace) -> str:
    """The rules of one run: `ports` has one for each service. Raises ExampleError."""
    for service in SERVICES:
        rules = at_url(rules, service, f"http://127.0.0.1:{ports[service]}")
    return at_pace(rules, pace)


def put(path: Path, text: str) -> None:
    """Write the file so that no reader ever sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)

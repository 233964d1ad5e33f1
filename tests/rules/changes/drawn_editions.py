"""Rules files by chance, and what an afternoon of editing makes of them."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

from rules.changes.edition import Edition
from rules.document import Rules
from tests.rules.drawn_rules import drawn_match

Data = dict[str, Any]
SERVICES = ("legacy", "elsewhere", "one", "two", "three")
UNITS = ({"cookie": "u"}, {"header": "x-u"}, {"address": True}, {"cookie": "u", "issue": True})


def edition(document: Data) -> Edition:
    return Edition(Rules.model_validate_json(json.dumps(document)))


def drawn_document(chance: Random) -> Data:
    return {
        "version": 1,
        "legacy": "legacy",
        "services": {name: {"url": f"http://{name}:80"} for name in SERVICES},
        "routes": [drawn_route(chance, f"r{number}") for number in range(chance.randint(0, 6))],
    }


def edited(chance: Random, document: Data) -> Data:
    """The document after up to three edits."""
    after = deepcopy(document)
    for _ in range(chance.randint(0, 3)):
        _edit(chance, after)
    names = [route["name"] for route in after["routes"]]
    return after if len(names) == len(set(names)) else edited(chance, document)


def drawn_route(chance: Random, name: str) -> Data:
    route: Data = {"name": name, "match": drawn_match(chance)}
    kind = chance.random()
    if kind < 0.1:
        return route | {"redirect": {"status": 301, "host": chance.choice(["x.example", "y.example"])}}
    if kind < 0.2:
        return route | {"respond": {"status": chance.choice([404, 410])}}
    if kind < 0.3:
        return route | {"legacy": chance.choice(["elsewhere", "legacy"])}
    route |= {"candidate": chance.choice(["one", "two", "three"])}
    route["stage"] = chance.choice(["legacy", "shadow", "canary", "live", "retired"])
    if route["stage"] == "canary":
        route["share"] = chance.choice(["0%", "5%", "10%", "50%", "100%"])
    for key, likely, values in (
        ("unit", 0.8, UNITS),
        ("group", 0.2, ("g", "h")),
        ("rewrite", 0.2, ({"path": "/z"}, {"path": "/y"}, {"host": "q.example"})),
        ("timeout", 0.1, ("1s", "2s")),
    ):
        if chance.random() < likely:
            route[key] = chance.choice(values)
    return route


def _edit(chance: Random, document: Data) -> None:
    routes, kind = document["routes"], chance.random()
    if kind < 0.2 or not routes:
        routes.insert(chance.randint(0, len(routes)), drawn_route(chance, f"n{chance.randint(0, 999)}"))
    elif kind < 0.35:
        routes.pop(chance.randrange(len(routes)))
    elif kind < 0.5:
        routes.insert(chance.randint(0, len(routes) - 1), routes.pop(chance.randrange(len(routes))))
    elif kind < 0.6:
        chance.choice(routes)["name"] = f"m{chance.randint(0, 999)}"
    elif kind < 0.9:
        at = chance.randrange(len(routes))
        again = drawn_route(chance, routes[at]["name"])
        routes[at] = again | ({"match": routes[at]["match"]} if chance.random() < 0.5 else {})
    elif kind < 0.95:
        document["legacy"] = chance.choice(["legacy", "elsewhere"])
    else:
        document["services"][chance.choice(["one", "two", "legacy"])]["url"] = "http://anew:80"

"""A request as the arguments of `fig rules explain`, so that whoever doubts a witness can ask about it."""

from __future__ import annotations

import shlex

from rules.asked import DEFAULT_CLIENT, Asked
from rules.decision import OWN_PORTS
from rules.hidden import NOT_SHOWN, may_be_secret


def command(request: Asked) -> str:
    """``fig rules explain GET http://shop.example/x -H 'x-app: web'``; values that may be secrets are not shown."""
    port = "" if request.port == OWN_PORTS[request.scheme] else f":{request.port}"
    url = f"{request.scheme}://{request.host}{port}{request.path}"
    if request.query:
        url += "?" + "&".join(_pair(each, "=") for each in request.query.split("&"))
    words = ["fig", "rules", "explain", request.method, url]
    for name, values in request.headers.items():
        if name == "host":
            continue
        for value in values:
            shown = "; ".join(_pair(each, "=") for each in value.split("; ")) if name == "cookie" else value
            words += ["-H", _pair(f"{name}: {shown}", ": ")]
    if request.client != DEFAULT_CLIENT:
        words += ["--client", request.client]
    return shlex.join(words)


def _pair(text: str, between: str) -> str:
    name, found, _ = text.partition(between)
    return name + found + NOT_SHOWN if found and may_be_secret(name) else text

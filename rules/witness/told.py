"""A request as the arguments of `fig rules explain`, so that whoever doubts a witness can ask about it."""

from __future__ import annotations

import shlex

from rules.asked import DEFAULT_CLIENT, Asked
from rules.decision import OWN_PORTS
from rules.hidden import NOT_SHOWN, cookies_shown, may_be_secret, query_shown


def command(request: Asked) -> str:
    """``fig rules explain GET http://shop.example/x -H 'x-app: web'``; values that may be secrets are not shown."""
    port = "" if request.port == OWN_PORTS[request.scheme] else f":{request.port}"
    url = f"{request.scheme}://{request.host}{port}{request.path}"
    if request.query:
        url += "?" + query_shown(request.query)
    words = ["fig", "rules", "explain", request.method, url]
    for name, values in request.headers.items():
        if name == "host":
            continue
        for value in values:
            shown = cookies_shown(value) if name == "cookie" else NOT_SHOWN if may_be_secret(name) else value
            words += ["-H", f"{name}: {shown}"]
    if request.client != DEFAULT_CLIENT:
        words += ["--client", request.client]
    return shlex.join(words)

"""What a rule of an HTTPRoute does with requests, as the actions of a route."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from rules.action import HeaderChanges, Redirect, Retries, Rewrite
from rules.imports.draft import Plain, Services
from rules.imports.manifests import Field
from rules.imports.nginx_values import seconds
from rules.quantities import parse_share
from rules.stages import MILLION

Refuse = Callable[[Field, str], None]


class Actions:
    def __init__(self, services: Services, refuse: Refuse) -> None:
        self._services = services
        self._refuse = refuse
        self._notes: list[str] = []

    def take_notes(self) -> tuple[str, ...]:
        """What is to be said about the route that was just made."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def of(self, rule: Field, namespace: str) -> Plain | None:
        """A route without its match; a `prefix` in it must still be fitted to the match (`fitting`)."""
        changes: Plain = {}
        mirror = ""
        for each in rule.list("filters"):
            kind = each.text("type")
            if kind == "RequestRedirect":
                block = self._redirect(each)
                if block is not None:
                    return {"redirect": block} | {k: v for k, v in changes.items() if k == "response_headers"}
            elif kind == "RequestMirror" and not mirror:
                mirror = self._mirror(each, namespace, changes)
            else:
                changes |= self._filter(each, kind)
        sides = self._sides(rule, namespace)
        if sides is None:
            return {"respond": {"status": 500}}  # what a Gateway answers that has nobody to ask
        if mirror and "candidate" in sides:
            self._refuse(rule, "a mirror beside two services: a route has two sides")
        elif mirror:
            shadow = {"shadow": changes.pop("shadow")} if "shadow" in changes else {}
            sides |= {"candidate": mirror, "stage": "shadow"} | shadow
            self._notes.append("reads are copied; for writes add `writes:`")
        changes.pop("shadow", None)
        return sides | changes | self._patience(rule)

    def fitting(self, content: Plain, match: Field | None) -> Plain:
        """Raises ValueError where a prefix is to be replaced and the match has none."""
        block = content.get("rewrite") or content.get("redirect") or {}
        kind = match.text("path", "type") if match is not None else ""
        if "prefix" in block and kind not in ("", "PathPrefix"):
            raise ValueError("ReplacePrefixMatch needs a path of type PathPrefix; write the route by hand")
        return content

    def _sides(self, rule: Field, namespace: str) -> Plain | None:
        shares: dict[str, int] = {}
        for each in rule.list("backendRefs"):
            weight = _whole(each.text("weight") or "1", 1_000_000)
            if weight is None:
                self._refuse(each, "its weight is no whole number up to 1000000; nothing is sent to it")
                continue
            for inner in each.list("filters"):
                self._refuse(inner, "a change for one service only: write it with `sides:`")
            name = self._service(each, namespace)
            if weight and name:
                shares[name] = shares.get(name, 0) + weight
        weighted = sorted(shares.items(), key=lambda pair: -pair[1])
        if not weighted:
            return None
        if len(weighted) == 1:
            return {"legacy": weighted[0][0]}
        if len(weighted) > 2:
            beyond = ", ".join(name for name, _ in weighted[2:])
            refs = rule.get("backendRefs")
            assert refs is not None
            self._refuse(refs, f"a route has two sides; left out: {beyond}. Their requests go to the two first")
        (legacy, most), (candidate, least) = weighted[:2]
        self._notes.append("a Gateway chooses by chance, request by request; fig by unit, here the client's address")
        share = f"{Decimal(least * 100) / Decimal(most + least):.4f}".rstrip("0").rstrip(".") + "%"
        return {"legacy": legacy, "candidate": candidate, "stage": "canary", "share": share, "unit": {"address": True}}

    def _service(self, ref: Field, namespace: str) -> str:
        kind, group = ref.text("kind") or "Service", ref.text("group")
        name, port = ref.text("name"), ref.text("port")
        inside = ref.text("namespace") or namespace
        if kind != "Service" or group or not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
            self._refuse(ref, f"{kind} '{name:.80}' is no Service; give its address as a service of the rules file")
            return ""
        url = f"http://{name}.{inside}.svc" + (f":{port}" if _whole(port, 65535) else "")
        return self._services.add(name, url)

    def _mirror(self, field: Field, namespace: str, changes: Plain) -> str:
        said = field.get("requestMirror")
        ref = said.get("backendRef") if said is not None else None
        if said is None or ref is None:
            self._refuse(field, "it names no service")
            return ""
        percent = said.text("percent")
        fraction = said.get("fraction")
        if fraction is not None:
            over, under = fraction.text("numerator"), fraction.text("denominator") or "100"
            part, whole = _whole(over, 2**31), _whole(under, 2**31)
            if part is not None and whole:
                percent = f"{Decimal(part * 100) / whole:.4f}".rstrip("0").rstrip(".")
        try:
            if percent and parse_share(f"{percent}%") < MILLION:
                changes["shadow"] = {"sample": f"{percent}%"}
        except ValueError:
            self._refuse(field, f"{percent:.40} is no part of the requests")
            return ""
        return self._service(ref, namespace)

    def _filter(self, field: Field, kind: str) -> Plain:
        if kind == "URLRewrite":
            said = field.get("urlRewrite")
            block = self._place(said) if said is not None else {}
            if block and _valid(block, Rewrite):
                return {"rewrite": block | {"sides": "both"}}
        for theirs, key, ours in (
            ("RequestHeaderModifier", "requestHeaderModifier", "request_headers"),
            ("ResponseHeaderModifier", "responseHeaderModifier", "response_headers"),
        ):
            said = field.get(key) if kind == theirs else None
            if said is not None:
                return self._headers(said, ours)
        self._refuse(field, f"the filter '{kind:.80}' has no counterpart that fig could write by itself")
        return {}

    def _headers(self, said: Field, ours: str) -> Plain:
        block: Plain = {}
        for kind in ("set", "add"):
            for each in said.list(kind):
                name, value = each.text("name"), _literal(each.text("value"))
                if _valid({kind: {name: value}}, HeaderChanges) and name not in block.get(kind, {}):
                    block.setdefault(kind, {})[name] = value
                else:
                    self._refuse(each, f"fig itself writes the header '{name:.80}', or its value cannot be sent")
        for each in said.list("remove"):
            if _valid({"remove": [str(each.value)]}, HeaderChanges):
                block.setdefault("remove", []).append(str(each.value))
            else:
                self._refuse(each, "fig itself writes this header, and no rule changes it")
        return {ours: block | {"sides": "both"}} if block else {}

    def _place(self, said: Field) -> Plain:
        block: Plain = {}
        if said.text("hostname"):
            block["host"] = said.text("hostname")
        path = said.get("path")
        if path is not None:
            kind = path.text("type")
            if kind == "ReplaceFullPath":
                block["path"] = _literal(path.text("replaceFullPath") or "/")
            elif kind == "ReplacePrefixMatch":
                block["prefix"] = _literal(path.text("replacePrefixMatch") or "/")
            else:
                self._refuse(path, f"the type '{kind:.40}' is not known")
        return block

    def _redirect(self, field: Field) -> Plain | None:
        said = field.get("requestRedirect")
        if said is None:
            self._refuse(field, "it does not say where to")
            return None
        block = self._place(said)
        if said.text("scheme"):
            block["scheme"] = said.text("scheme")
        for theirs, ours in (("port", "port"), ("statusCode", "status")):
            number = _whole(said.text(theirs), 65535)
            if number is not None:
                block[ours] = number
        if not _valid(block, Redirect):
            self._refuse(field, "fig cannot say such a redirect; write the route by hand")
            return None
        return block

    def _patience(self, rule: Field) -> Plain:
        found: Plain = {}
        times = {key: rule.get("timeouts", key) for key in ("backendRequest", "request")}
        said = [(field, seconds(str(field.value))) for field in times.values() if field is not None]
        if said and said[0][1]:
            found["timeout"] = said[0][1]
        for field, time in said[1:] if said and said[0][1] else said:
            if time or str(field.value) not in ("0s", "0"):
                self._refuse(field, "a route has one timeout, from the request's end to the answer's first byte")
        retry = rule.get("retry")
        if retry is not None:
            found |= self._retries(retry)
        return found

    def _retries(self, retry: Field) -> Plain:
        on = ["connect", "reset"]
        for code in retry.list("codes"):
            if str(code.value) in ("500", "502", "503", "504"):
                on.append(str(code.value))
            else:
                self._refuse(
                    code, "fig asks again after 500, 502, 503 and 504 only: other answers are what the service meant"
                )
        attempts = retry.text("attempts") or "1"
        number = _whole(attempts, 5)
        block: Plain = {"attempts": 5 if number is None else number, "on": on}
        if number is None:
            self._refuse(retry.get("attempts") or retry, "fig repeats a request 5 times at most")
        elif number == 0:
            return {}
        return {"retries": block} if _valid(block, Retries) else {}


def _whole(text: str, most: int) -> int | None:
    """The whole number that it is, up to `most`."""
    number = int(text) if re.fullmatch("[0-9]{1,10}", text) else None
    return number if number is not None and number <= most else None


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _valid(block: Plain, model: Any) -> bool:
    try:
        model.model_validate(block)
    except ValueError:
        return False
    return True

"""Every code of a warning: what it means, and what to do about it. `fig rules check --explain CODE` prints it."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    means: str
    advice: str


MEANINGS = {
    "absent-file": Meaning(
        "A file of a service's `tls` is not on this machine. Where fig runs, every request to the service would fail.",
        "Put it there; where `check` runs elsewhere, allow the code.",
    ),
    "blind-watch": Meaning(
        "A route that went live would be watched, and its gate asks for nothing that a watch can see.",
        "Give the gate a metric `error_rate`, or `latency` with a `quantile`; or remove `watch`.",
    ),
    "candidate-never-reached": Meaning(
        "The stage gives the candidate requests or copies, and share, rollout or sample give it none.",
        "Add `rollout` or `share` in stage canary, a `sample` above 0% in stage shadow.",
    ),
    "catch-all-not-last": Meaning(
        "The route takes every request, so no route after it is ever reached.",
        "Move it to the end of the last file.",
    ),
    "endless-redirect": Meaning(
        "A client that follows the redirect is redirected again, without end.",
        "Let the match leave out where the redirect leads; to https with `scheme: http` in the match.",
    ),
    "header-underscore": Meaning(
        "A header with an underscore: nginx, CGI and others drop or rename such headers, so it hardly ever arrives.",
        "Match on the name with '-' that the client sends.",
    ),
    "idle-care": Meaning(
        "A service says how to choose among endpoints, or which to leave alone, and has too few of them for that.",
        "Give `urls`, lower `minimum_endpoints`, or remove the key.",
    ),
    "idle-limit": Meaning(
        "One of `max_requests` and `max_connections` is never reached, because the other is.",
        "Raise the lower one, or remove the other.",
    ),
    "idle-writes": Meaning(
        "The route journals writes, and takes only methods that read.",
        "Remove `writes`, or name the methods that write.",
    ),
    "issued-cookie": Meaning(
        "fig would set a cookie whose name does not begin with 'fig', which may be the application's own.",
        "Issue `fig_unit`, or read the application's cookie without `issue`.",
    ),
    "mask-expired": Meaning(
        "A mask's `expires` is over, so it excuses nothing and its differences count.",
        "Remove the mask, or let whoever answers for it renew it.",
    ),
    "mask-expires-soon": Meaning(
        "A mask excuses nothing any more from its `expires` on, which is at most 14 days away.",
        "Renew it where the difference is still fine, else remove it.",
    ),
    "mask-idle-route": Meaning(
        "A mask names a route that does not use its comparison, so the mask does not hold there.",
        "Correct the name, or let the route name the comparison by `shadow.compare`.",
    ),
    "mask-too-wide": Meaning(
        "An `ignore` on a whole body, on everything below a place or on every field of one depth: bugs hide behind it.",
        "Name the fields one by one, or use a kind that says what must hold on both sides.",
    ),
    "mask-unowned": Meaning(
        "A mask has no `owner` or no `reason`: nobody will know whether it may go.",
        "Say who answers for it, and why the difference is fine.",
    ),
    "matches-force": Meaning(
        "The match looks at the header or cookie that carries the forcing token, whose value is a secret.",
        "Match on another header or cookie.",
    ),
    "missed-route": Meaning(
        "No step of a probe comes to a route that it guards, so it would have nothing to say of it.",
        "Correct path, method or `host` of the step that should; or leave the route out.",
    ),
    "one-segment": Meaning(
        "A path ends in '/*', which is one segment; what lies deeper is not taken.",
        "Write '/**' for everything below; leave it where one segment is meant.",
    ),
    "overlap": Meaning(
        "Two routes take the same request, neither is a special case of the other, and they do different things with "
        "it: the order of the file decides.",
        "Make the matches exclude each other, or keep the order on purpose and allow the code.",
    ),
    "overlapping-range": Meaning(
        "A query looks back longer than its metric's step, so what it sees counts several times.",
        "Write `[$step]` in the query, or make `step` as long as the range.",
    ),
    "refused-method": Meaning(
        "fig answers CONNECT and TRACE with 405 before any route is asked.",
        "Remove the method.",
    ),
    "regex-literal": Meaning(
        "A regular expression says no more than a plain path, host, prefix or text would.",
        "Write the plain form: it is easier to read, and the table finds it by its index.",
    ),
    "retired-legacy": Meaning(
        "A retired route still names legacy, which may be switched off once a route is retired.",
        "Remove `legacy` or `fallback` from the route.",
    ),
    "same-sides": Meaning(
        "Legacy and candidate of the route are one and the same service.",
        "Name the service that is to replace legacy, or leave out `candidate`.",
    ),
    "share-without-unit": Meaning(
        "Without `unit` nobody has a bucket, so legacy answers every request.",
        "Add `unit: {cookie: NAME}`, a header, or `address: true`.",
    ),
    "takes-nothing": Meaning(
        "No request can fulfil the match: its conditions contradict each other, or fig refuses every such request.",
        "Remove the condition that cannot hold.",
    ),
    "trusts-everyone": Meaning(
        "Every client is believed what it says about its address.",
        "List the networks of your own proxies in `trusted_proxies`.",
    ),
    "unknown-comparison": Meaning(
        "`compare` names no comparison, so no difference is excused.",
        "Correct the name, or define the comparison.",
    ),
    "unreachable-route": Meaning(
        "Earlier routes take every request that this route would take. This is proven; the request is an example.",
        "Move the route before them, or remove it.",
    ),
    "unused-event": Meaning("No gate counts the event.", "Name it in a metric of a gate, or remove it."),
    "unused-gate": Meaning("No rollout asks the gate.", "Name it in a `rollout`, or remove it."),
    "unused-service": Meaning("No route uses the service.", "Use it, or remove it."),
    "unused-source": Meaning("No metric asks the source.", "Name it in a metric of kind `query`, or remove it."),
    "unverified-tls": Meaning(
        "The service's certificate is not checked, so anybody between fig and the service can answer in its place.",
        "Give the authorities' file as `ca`, and `server_name` where the certificate has another name.",
    ),
    "writes-not-journaled": Meaning(
        "A route in shadow, canary or live takes writes without `writes`: they reach one side only.",
        "Add `writes`, or limit `methods` to reads.",
    ),
}

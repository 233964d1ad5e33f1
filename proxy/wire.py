"""What the processes say to each other: msgspec records over Unix sockets, versioned. Bytes they become in frames.py.

Bodies and header values travel as bytes. Who speaks which record:

    worker -> control:    Hello, Tally, Rows, EventRows, Spans, Loaded, Prepared
    shadower -> control:  Hello, Tally, Loaded, Prepared
    control -> worker, shadower:  Load, Prepare
    control -> shadower:  Command
    shadower -> control:  Done
    worker -> shadower:   Hello, Holding, Mirror, Intent, Outcome, Gap
    shadower -> worker:   Granted, Denied, Recorded
"""

from __future__ import annotations

from typing import Any

import msgspec

from shadow.delivery.adapted import Adapted, size_of

VERSION = 6

Headers = list[tuple[bytes, bytes]]


class Hello(msgspec.Struct, tag="hello", array_like=True):
    """First record on every link, and again when it changes: who is there, and which version it speaks."""

    role: str
    """``worker`` or ``shadower``."""
    number: int
    """Worker number from 0; 0 for the shadower."""
    pid: int
    generation: int
    """The effective table it runs; 0 when none is loaded yet."""
    version: int = VERSION
    leaving: bool = False
    """A worker that a successor has replaced: it answers what its connections still ask, and accepts no further ones.
    Said again in a Hello of its own when that comes to be."""


class Load(msgspec.Struct, tag="load", array_like=True):
    """Control: a new effective table lies in the state folder; load it and answer with Loaded."""

    generation: int


class Loaded(msgspec.Struct, tag="loaded", array_like=True):
    """The generation that decides from now on, for every request whose head has not been decided before."""

    generation: int
    problem: str = ""
    """Why the table could not be loaded; the former one then still decides."""


class Prepare(msgspec.Struct, tag="prepare", array_like=True):
    """Control: these rules lie in the state folder and will be published; read them and answer with Prepared."""

    rules: str
    """Their digest."""


class Prepared(msgspec.Struct, tag="prepared", array_like=True):
    """These rules are ready to decide by: a Load that names them will take effect at once."""

    rules: str
    problem: str = ""
    """Why they could not be read."""


Argument = str | int | float | bool | list[int | str]
"""What a command may be told; None is said by leaving the argument out."""


class Command(msgspec.Struct, tag="command", array_like=True):
    """Control: somebody asks for a change of what the shadower alone writes. Answered with Done."""

    id: str
    """Unique for ever (a UUID)."""
    action: str
    """One of proxy.shadower.commands."""
    arguments: dict[str, Argument]
    who: str
    """As they call themselves."""
    why: str


class Done(msgspec.Struct, tag="done", array_like=True):
    """What became of a Command. With a problem nothing was changed."""

    id: str
    result: dict[str, Any] = {}
    """Plain data, for whoever asked."""
    routes: list[str] = []
    """Those of which something was changed: each gets a line in the history."""
    problem: str = ""
    """A sentence; ``""`` where it was done."""
    malformed: bool = False
    """Whether the command itself was wrong, rather than the moment."""


class SideTally(msgspec.Struct, array_like=True):
    """Deltas of one route and side since the last Tally."""

    route: str
    side: str
    service: str
    requests: dict[str, int]
    """``"GET 2xx"`` -> how many answers."""
    failures: dict[str, int]
    """Failure kind (``connect``, ``timeout``, ``reset``, ``malformed``, ``status`` for 5xx, ``fallback``) -> count."""
    seconds: float
    """Sum of service times, request head sent to answer head received, in seconds."""
    latency: bytes
    """Service times, as canary.histogram packs them: a worker's whole flush is packed in one go."""
    inside: bytes
    """The same of the time spent inside fig."""
    cut: int = 0
    """How many of the failures came after the answer's head, so that they are among `requests` too."""


class Tally(msgspec.Struct, tag="tally", array_like=True):
    """Deltas since the sender's last Tally, and gauges as they stand. Of many sides each Tally brings a part."""

    sides: list[SideTally] = []
    counts: list[tuple[str, tuple[tuple[str, str], ...], float]] = []
    """(metric name without ``fig_`` and ``_total``, labels, delta)."""
    gauges: list[tuple[str, tuple[tuple[str, str], ...], float]] | None = None
    """All of them, in place of those that were told before; None leaves those as they are."""


ROW_STRUCT = "<dQfBBBB"
"""struct format of one proxy.rows.ROW."""


class Rows(msgspec.Struct, tag="rows", array_like=True):
    """A batch of rows of one route in canary, in one generation."""

    route: str
    generation: int
    rows: bytes
    dropped: int = 0
    """Rows of this route that were thrown away since the last batch because control was slow."""


EVENT_ROW_STRUCT = "<dQdBB"
"""struct format of one proxy.rows.EVENT_ROW."""


class EventRows(msgspec.Struct, tag="events", array_like=True):
    """Business events that a route's gate counts while it is in canary, in one generation; any route may have had the
    exchange."""

    route: str
    """The one in canary."""
    generation: int
    rows: bytes
    dropped: int = 0
    """As of Rows."""


class Mirror(msgspec.Struct, tag="mirror", array_like=True):
    """An exchange whose safe request is to be copied to the other side and compared."""

    route: str
    generation: int
    request_id: str
    side: str
    """The side that answered; the copy goes to the other one."""
    method: str
    target: str
    """Path and query as the client asked for them, in canonical form."""
    headers: Headers
    """As the client sent them, without hop-by-hop fields and Host, and those that fig adds."""
    host: str
    body: bytes
    status: int
    answer_headers: Headers
    """As the client got them."""
    answer_body: bytes
    truncated: bool
    """The answer's body was larger than the capture limit; `answer_body` is its beginning."""
    started: float
    """Seconds since the epoch."""
    seconds: float
    copy: Adapted | None = None
    """What the copy says in place of `target`, `host` and `headers`, where the route changes something for its side."""
    unwritable: str = ""
    """Why the rules make no request of the copy: nothing is sent, and the pair says that its side cannot answer."""

    @property
    def size(self) -> int:
        """Bytes that it holds, about: whoever keeps many of them counts what clients can make large."""
        bodies = len(self.body) + len(self.answer_body) + size_of(self.answer_headers)
        return bodies + _size(self.target, self.headers, self.copy)


class Intent(msgspec.Struct, tag="intent", array_like=True):
    """A write that the worker wants to forward. Answered with Granted or Denied."""

    id: int
    """Unique on this link."""
    route: str
    generation: int
    request_id: str
    key: str
    """Order key; ``""`` when the request has none (then it is ordered with nothing)."""
    side: str
    """The side that is to answer."""
    method: str
    target: str
    headers: Headers
    host: str
    body: bytes
    idempotency_key: str
    """The client's own, or the one that fig made for this write."""
    unit: str
    started: float
    copy: Adapted | None = None
    """As in Mirror."""

    @property
    def size(self) -> int:
        """As of Mirror."""
        return len(self.body) + _size(self.target, self.headers, self.copy)


class Granted(msgspec.Struct, tag="granted", array_like=True):
    """The intent is durable and holds the lease of its order key until its Outcome (or the link's end)."""

    id: int
    sequence: int


class Denied(msgspec.Struct, tag="denied", array_like=True):
    """The intent was not recorded: the client gets 503 with Retry-After (or the write goes on as a gap)."""

    id: int
    reason: str
    retry_after: float = 1.0


class Outcome(msgspec.Struct, tag="outcome", array_like=True):
    """What became of a granted write. Ends its lease once it is durable, which Recorded tells; until then the worker
    keeps it and sends it again on a new link."""

    sequence: int
    status: int
    """0 when no answer came: the write is in doubt."""
    answer_headers: Headers
    answer_body: bytes
    truncated: bool
    seconds: float
    failure: str = ""


class Gap(msgspec.Struct, tag="gap", array_like=True):
    """A write that went on without being recorded (`on_journal_failure: forward`). Kept by the worker, and sent again
    on every new link, until Recorded names it."""

    id: str
    """Unique for ever (a UUID), so that a gap sent twice is one gap."""
    route: str
    key: str
    """Order key; stored as a keyed hash only."""
    reason: str
    """``no link``, ``timeout`` or the reason of a Denied."""
    request_id: str
    started: float
    """When the write arrived, seconds since the epoch."""


class Holding(msgspec.Struct, tag="holding", array_like=True):
    """Sent after Hello on every link but the first: the granted writes that this worker still carries, or whose Outcome
    it still has to send. A shadower that was restarted keeps their leases; what its predecessor granted to this worker
    and is not named here was never forwarded."""

    sequences: list[int]


class Recorded(msgspec.Struct, tag="recorded", array_like=True):
    """These outcomes and gaps are durable; the worker forgets them. What was not named when the link broke is sent
    again."""

    outcomes: list[int] = []
    gaps: list[str] = []


class TracedAttempt(msgspec.Struct, array_like=True):
    """One time that a traced exchange was sent to a service. Times as in TracedExchange."""

    span: bytes
    """16 hexadecimal digits, as all spans here."""
    started: float
    ended: float
    service: str
    endpoint: str
    """The service's URL."""
    path: str
    """What it was asked for, where the rules put no query into it; else what the client asked for."""
    peer: tuple[str, int] | None
    """Address and port that it was sent to."""
    status: int
    """0 where no answer came."""
    failure: str


class TracedExchange(msgspec.Struct, array_like=True):
    """An exchange that is to become spans: no header values, no query. Times are the worker's monotonic seconds."""

    trace: bytes
    """32 hexadecimal digits."""
    span: bytes
    parent: bytes
    """``b""`` where the trace begins here."""
    state: bytes
    """The tracestate that came."""
    flags: int
    started: float
    ended: float
    inside: float
    """Seconds that fig itself took; below 0 where that is not known."""
    method: str
    scheme: str
    host: str
    port: int
    path: str
    client: str
    """Whom the request came from, which a trusted proxy may have told."""
    peer: str
    """Who is at the other end of the connection."""
    version: str
    """``1.1`` or ``1.0``."""
    request_id: str
    route: str
    side: str
    """``""`` where fig itself answered by the route."""
    service: str
    stage: str
    generation: int
    reason: str
    bucket: int
    """Of the unit; -1 without one."""
    status: int
    """What the client got; 0 for nothing."""
    failure: str
    refused: str
    fallback: str
    bytes_in: int
    bytes_out: int
    attempts: list[TracedAttempt]


class Spans(msgspec.Struct, tag="spans", array_like=True):
    """Exchanges that are over, for control to export."""

    epoch: float
    """What makes seconds since the epoch of the worker's monotonic ones: to be added."""
    exchanges: list[TracedExchange]


Record = (
    Hello
    | Load
    | Loaded
    | Prepare
    | Prepared
    | Tally
    | Rows
    | EventRows
    | Mirror
    | Intent
    | Granted
    | Denied
    | Outcome
    | Gap
    | Holding
    | Recorded
    | Spans
    | Command
    | Done
)

_OVERHEAD = 2048
"""Bytes that a request takes beside its body and header lines, about."""


def _size(target: str, headers: Headers, copy: Adapted | None) -> int:
    return _OVERHEAD + len(target) + size_of(headers) + (copy.size if copy is not None else 0)

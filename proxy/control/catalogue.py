"""What the figures mean that workers and shadower count and tell: the HELP lines of /metrics, by name.

docs/metrics.md says more; a test demands that whoever counts something names it here.
"""

from __future__ import annotations

COUNTS = {
    "breaker_changes": "Times that the breaker of a service changed its state, by what it became.",
    "client_aborts": "Exchanges whose client went away: waiting for its answer, or while it was answered.",
    "backfill_keys": "Keys that a backfill has brought to an end, by result.",
    "deliveries": "Attempts to deliver the copy of a write, by the state that followed.",
    "endpoint_changes": "Times that an endpoint became ill or well, was ejected or came back.",
    "events": "Business events that a route in canary counts, by event.",
    "events_unreadable": "Those of them whose value could not be read, by reason.",
    "gaps": "Writes that were forwarded without a record.",
    "health_checks": "Active health checks, by result.",
    "journal_denied": "Intents that were not recorded, by reason.",
    "journal_errors": "Times that the journal could not be read or written.",
    "journal_failures": "Transactions and reads of the journal that failed, by what failed them.",
    "journal_forgotten_early": "Writes that were over and were forgotten before their time, to stay below the quota.",
    "journal_intents": "Writes whose intent was made durable.",
    "journal_keys_unknown": "Writes that were to learn their order key from the answer, which did not tell it.",
    "journal_outcomes": "Outcomes recorded, by the state that the write then has.",
    "journal_read_backs": "Questions asked about writes without an answer, by what they came to.",
    "mirrors": "Sampled reads, by what became of their copy.",
    "own_answers": "Answers that fig gave itself, by reason and status.",
    "refused": "Requests refused before any route was asked, by reason and status.",
    "resolution_failures": "Look-ups of an endpoint's name that failed.",
    "retries": "Requests sent again by a route's retries, by what came of it.",
    "service_connect_failures": "Connections to a service that could not be opened, by kind.",
    "service_connects": "Connections to a service that were opened.",
    "service_failovers": "Requests sent to another endpoint than the one that failed them.",
    "service_turned_away": "Requests for which a service had no room, or that its breaker turned away.",
    "shadow_asked_again": "Times that legacy was to be asked again around a copy, by what came of it.",
    "shadow_dropped": "Copies that the shadower let go, by reason.",
    "shadow_mirrored": "Reads that the shadower sent to the other side.",
    "shadow_pairs": "Pairs compared, by result.",
    "shadow_states": "Keys of which both sides were asked what they hold, by what came of it.",
    "shadow_store_errors": "Times that pairs could not be stored.",
    "spans_dropped": "Traced exchanges whose spans were let go, by who had no room for them.",
    "tls_handshake_failures": "TLS handshakes with clients that failed, by reason.",
    "tls_handshakes": "TLS handshakes with clients, by version.",
    "unrecorded": "Gaps that a worker had to let go of.",
}
"""Without ``fig_`` and ``_total``."""

GAUGES = {
    "breaker_state": "1 for the state in which the breaker of a service is, per worker.",
    "certificate_not_after_seconds": "When a certificate ends, seconds since the epoch.",
    "certificates_last_reload_success": "Whether every file of the last look at the certificates could be used.",
    "client_connections": "Connections of clients, now.",
    "deliveries_held_back": "1 while copies of writes are tried at this service one at a time, and why.",
    "endpoint_ejected": "1 while an endpoint is left alone because it failed.",
    "endpoint_up": "1 while an endpoint is well by its health checks.",
    "exchanges_in_flight": "Exchanges that have begun and are not over, now.",
    "journal_bytes": "What the journal's file holds, without free pages and its WAL.",
    "journal_damaged": "1 when a page of the journal was met that is not what was written.",
    "journal_dead": "Copies that were given up.",
    "journal_declared": "Copies, doubts and gaps that people have settled.",
    "journal_gaps": "Writes known not to be recorded.",
    "journal_in_doubt": "Writes whose effect cannot be known.",
    "journal_quota_bytes": "What the journal may hold, where there is a limit.",
    "journal_undelivered": "Writes that the other side has not got yet.",
    "service_connections": "Connections to a service, now.",
    "service_idle": "Those of them that carry nothing.",
    "service_in_flight": "Requests under way to a service, now.",
    "service_waiting": "Requests that wait for room at a service, now.",
    "unrecorded_outcomes": "Outcomes that the journal has not confirmed yet.",
    "worker_lag_seconds": "How late the worker's loop came to its work at worst, of the last half second.",
}
"""Without ``fig_``."""

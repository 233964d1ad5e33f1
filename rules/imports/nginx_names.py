"""Which nginx directives concern nginx itself only, and what to say of those that the import does not carry."""

from __future__ import annotations

IRRELEVANT = frozenset(
    (
        *(
            "user",
            "worker_processes",
            "worker_rlimit_nofile",
            "worker_connections",
            "worker_cpu_affinity",
            "pid",
            "daemon",
        ),
        *(
            "events",
            "use",
            "multi_accept",
            "accept_mutex",
            "load_module",
            "pcre_jit",
            "timer_resolution",
            "thread_pool",
        ),
        *("sendfile", "sendfile_max_chunk", "tcp_nopush", "tcp_nodelay", "aio", "directio", "output_buffers"),
        *("access_log", "error_log", "log_format", "log_not_found", "log_subrequest", "open_log_file_cache"),
        *("keepalive_timeout", "keepalive_requests", "keepalive", "keepalive_time", "server_tokens", "etag"),
        *("types", "default_type", "types_hash_max_size", "types_hash_bucket_size", "charset", "master_process"),
        *("server_names_hash_bucket_size", "server_names_hash_max_size", "variables_hash_max_size", "env"),
        *("map_hash_bucket_size", "map_hash_max_size", "large_client_header_buffers", "client_header_buffer_size"),
        *("client_body_buffer_size", "client_body_temp_path", "client_header_timeout", "client_body_timeout"),
        *("proxy_buffers", "proxy_buffer_size", "proxy_busy_buffers_size", "proxy_temp_path", "proxy_buffering"),
        *(
            "proxy_max_temp_file_size",
            "proxy_temp_file_write_size",
            "proxy_http_version",
            "proxy_headers_hash_max_size",
        ),
        *("proxy_headers_hash_bucket_size", "proxy_socket_keepalive", "reset_timedout_connection", "lingering_close"),
        *("open_file_cache", "open_file_cache_valid", "open_file_cache_min_uses", "open_file_cache_errors"),
        *(
            "proxy_ssl_session_reuse",
            "resolver",
            "resolver_timeout",
            "zone",
            "http2",
            "server_name_in_redirect",
            "ignore_invalid_headers",
        ),
        *(
            "proxy_request_buffering",
            "postpone_output",
            "msie_padding",
            "uwsgi_temp_path",
            "scgi_temp_path",
            "fastcgi_temp_path",
        ),
    )
)
"""Said of nginx's own running: logs, buffers, processes, connections."""

_TLS = "TLS ends before fig (or fig's own listener has it); keep it there"
_FILES = "fig serves no files; keep a web server for them as a service, or route the path to the service that has them"
_CACHE = "fig does not cache; keep it in what stands before fig"
_LIMITS = "fig does not limit rates; keep it in what stands before fig"
_STICKY = "fig keeps nobody at an endpoint; a unit keeps its side by `unit:`, and endpoints should answer alike"
_BALANCE = "a service has `balance: round_robin` and `least_requests`"
_HANDSHAKE = "fig speaks TLS 1.2 and 1.3, as OpenSSL of the machine has them"
_AUTH = "fig does not ask who someone is; keep it in the service, or match a header that says so"

REASONS = {
    "if": "a condition is a route of its own: match headers, cookies, query or methods, and put it before this one",
    "map": "fig has no variables of its own; write a route for each value, with the match that the map looks at",
    "geo": "write a route with `match: {client: [networks]}` before this one",
    "allow": "write `match: {client: [networks]}`, and a route after it that answers 403",
    "deny": "write a route with `match: {client: [networks]}` and `respond: {status: 403}` before this one",
    "limit_except": "write `match: {methods: [...]}`, and a route after it that answers 403",
    "upstream": "no route that could be made passes requests to it",
    "split_clients": "no route that could be made passes requests to what it chooses",
    "location": "it stands where no route can be made of it",
    "internal": "it is reached from within nginx only",
    "try_files": _FILES,
    "root": _FILES,
    "alias": _FILES,
    "index": _FILES,
    "autoindex": _FILES,
    "expires": "write `response_headers: {set: {Cache-Control: ...}}`",
    "error_page": "fig passes a service's errors on; let the service, or what stands before fig, write the page",
    "proxy_intercept_errors": "fig passes a service's errors on as they are",
    "limit_req": _LIMITS,
    "limit_req_zone": _LIMITS,
    "limit_conn": _LIMITS,
    "limit_conn_zone": _LIMITS,
    "limit_rate": _LIMITS,
    "auth_basic": _AUTH,
    "auth_basic_user_file": _AUTH,
    "auth_request": _AUTH,
    "auth_request_set": _AUTH,
    "satisfy": _AUTH,
    "proxy_next_upstream": "write `retries: {attempts: 1, on: [connect, reset]}`",
    "proxy_next_upstream_tries": "write `retries: {attempts: ...}`",
    "proxy_send_timeout": "a service has `idle_timeout` for an exchange that stands still",
    "send_timeout": "fig's own patience with clients is not in the rules",
    "proxy_redirect": "fig passes Location on as the service wrote it; let the service write public URLs",
    "proxy_cookie_domain": "fig never changes an application's cookies",
    "proxy_cookie_path": "fig never changes an application's cookies",
    "proxy_set_body": "fig passes bodies on as they are",
    "sub_filter": "fig passes bodies on as they are",
    "mirror": "write `stage: shadow` with the mirror as candidate",
    "real_ip_header": "fig reads X-Forwarded-For; name who may set it in `trusted_proxies:`",
    "real_ip_recursive": "fig reads X-Forwarded-For from the right as far as it is trusted",
    "server": "it stands where no route can be made of it",
    "fastcgi_pass": "fig speaks HTTP to services; keep a web server before it as the service",
    "uwsgi_pass": "fig speaks HTTP to services; keep a web server before it as the service",
    "scgi_pass": "fig speaks HTTP to services; keep a web server before it as the service",
    "grpc_pass": "fig speaks HTTP/1.1 to services",
    "stream": "fig carries HTTP only",
    "mail": "fig carries HTTP only",
    "rewrite": "only `break`, `redirect` and `permanent` in a location have a counterpart; write the path's route out",
    "set": "fig has no variables of its own; write the value where it is used",
    "return": "it stands where no route can be made of it",
    "proxy_pass": "it stands where no route can be made of it",
    "add_header": "it stands where no route can be made of it",
    "proxy_set_header": "fig does not know its value; write `request_headers:` with a value or one of fig's variables",
    "random": _BALANCE,
    "ip_hash": _STICKY,
    "hash": _STICKY,
    "sticky": _STICKY,
    "least_time": _BALANCE,
    "queue": "a service has `max_pending` for requests that wait for a connection",
    "proxy_ssl_protocols": _HANDSHAKE,
    "proxy_ssl_ciphers": _HANDSHAKE,
    "proxy_ssl_conf_command": _HANDSHAKE,
    "proxy_ssl_crl": "fig looks into no revocation list",
    "proxy_ssl_password_file": "fig reads a key without a password",
}


def reason(name: str) -> str:
    """Why a directive was not carried, and what to do about it."""
    if name in REASONS:
        return REASONS[name]
    for prefix, why in (
        ("ssl_", _TLS),
        ("proxy_ssl_", "write it under `tls:` of the service"),
        ("gzip", "fig passes bodies on as they are; compress in the service, or before fig"),
        ("brotli", "fig passes bodies on as they are; compress in the service, or before fig"),
        ("proxy_cache", _CACHE),
        *((each, REASONS["uwsgi_pass"]) for each in ("uwsgi_", "scgi_", "grpc_")),
        ("fastcgi_", "fig speaks HTTP to services; keep a web server before it as the service"),
        ("limit_", _LIMITS),
    ):
        if name.startswith(prefix):
            return why
    return "fig has nothing for it; look whether the route needs it"

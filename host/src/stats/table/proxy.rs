//! Metrics of frontends, backends and servers.

use super::Metric;
use super::Read::{Classes, Counter, Gauge, Seconds, States, Times};
use crate::stats::snapshot::{Backend, Frontend, Server};

/// Of a frontend.
pub(in super::super) const FRONTEND: &[Metric<Frontend>] = &[
    Metric {
        name: "frontend_current_connections",
        haproxy: "haproxy_frontend_current_sessions",
        help: "Client connections now",
        read: Gauge(|it| Some(f64::from(it.connections))),
    },
    Metric {
        name: "frontend_max_connections_seen",
        haproxy: "haproxy_frontend_max_sessions",
        help: "The most client connections there were at once",
        read: Gauge(|it| Some(f64::from(it.connections_max))),
    },
    Metric {
        name: "frontend_limit_connections",
        haproxy: "haproxy_frontend_limit_sessions",
        help: "How many client connections there may be; absent where there is no limit",
        read: Gauge(|it| it.connections_limit.map(f64::from)),
    },
    Metric {
        name: "frontend_connections",
        haproxy: "haproxy_frontend_connections_total",
        help: "Client connections so far",
        read: Counter(|it| it.connections_total),
    },
    Metric {
        name: "frontend_denied_connections",
        haproxy: "haproxy_frontend_denied_connections_total",
        help: "Client connections that were closed unread, by a list of networks or a limit",
        read: Counter(|it| it.connections_denied),
    },
    Metric {
        name: "frontend_tls_handshakes",
        haproxy: "",
        help: "TLS handshakes with clients that went well",
        read: Counter(|it| it.tls_handshakes),
    },
    Metric {
        name: "frontend_tls_resumed_handshakes",
        haproxy: "",
        help: "Those of them that took up an earlier session",
        read: Counter(|it| it.tls_resumed),
    },
    Metric {
        name: "frontend_tls_failed_handshakes",
        haproxy: "",
        help: "TLS handshakes with clients that came to nothing, broken off and late ones included",
        read: Counter(|it| it.tls_failures),
    },
    Metric {
        name: "frontend_http_requests",
        haproxy: "haproxy_frontend_http_requests_total",
        help: "Requests that are over, with what was no request",
        read: Counter(|it| it.requests),
    },
    Metric {
        name: "frontend_http_responses",
        haproxy: "haproxy_frontend_http_responses_total",
        help: "Answers by class of status",
        read: Classes(|it| &it.responses),
    },
    Metric {
        name: "frontend_bytes_in",
        haproxy: "haproxy_frontend_bytes_in_total",
        help: "Bytes of requests that went on to servers, heads included",
        read: Counter(|it| it.bytes_in),
    },
    Metric {
        name: "frontend_bytes_out",
        haproxy: "haproxy_frontend_bytes_out_total",
        help: "Bytes that went to clients, heads included",
        read: Counter(|it| it.bytes_out),
    },
    Metric {
        name: "frontend_requests_denied",
        haproxy: "haproxy_frontend_requests_denied_total",
        help: "Requests that a rule or a limit refused",
        read: Counter(|it| it.denied),
    },
    Metric {
        name: "frontend_request_errors",
        haproxy: "haproxy_frontend_request_errors_total",
        help: "What was no request, was broken, or did not come in time",
        read: Counter(|it| it.request_errors),
    },
    Metric {
        name: "frontend_intercepted_requests",
        haproxy: "haproxy_frontend_intercepted_requests_total",
        help: "Requests that were answered without a server: redirects and fixed answers",
        read: Counter(|it| it.intercepted),
    },
    Metric {
        name: "frontend_internal_errors",
        haproxy: "haproxy_frontend_internal_errors_total",
        help: "Requests that this program failed at",
        read: Counter(|it| it.internal_errors),
    },
    Metric {
        name: "frontend_total_time_seconds",
        haproxy: "",
        help: "From a request's first byte to the end of its answer",
        read: Times(|it| &it.total_time),
    },
];

/// Of a backend.
pub(in super::super) const BACKEND: &[Metric<Backend>] = &[
    Metric {
        name: "backend_status",
        haproxy: "haproxy_backend_status",
        help: "Whether any server may be chosen: 1 for the state it is in",
        read: States(&["UP", "DOWN"], |it| if it.up { "UP" } else { "DOWN" }),
    },
    Metric {
        name: "backend_active_servers",
        haproxy: "haproxy_backend_active_servers",
        help: "Servers that may serve, backups aside",
        read: Gauge(|it| Some(it.active as f64)),
    },
    Metric {
        name: "backend_backup_servers",
        haproxy: "haproxy_backend_backup_servers",
        help: "Backups that may serve",
        read: Gauge(|it| Some(it.backups as f64)),
    },
    Metric {
        name: "backend_servers",
        haproxy: "",
        help: "Servers that the configuration has",
        read: Gauge(|it| Some(it.servers.len() as f64)),
    },
    Metric {
        name: "backend_weight",
        haproxy: "haproxy_backend_weight",
        help: "The weight of the servers that may be chosen, together",
        read: Gauge(|it| Some(f64::from(it.weight))),
    },
    Metric {
        name: "backend_current_requests",
        haproxy: "haproxy_backend_current_sessions",
        help: "Requests now, with those that wait",
        read: Gauge(|it| Some(f64::from(it.requests_current))),
    },
    Metric {
        name: "backend_max_requests_seen",
        haproxy: "haproxy_backend_max_sessions",
        help: "The most requests there were at once",
        read: Gauge(|it| Some(it.requests_max as f64)),
    },
    Metric {
        name: "backend_current_queue",
        haproxy: "haproxy_backend_current_queue",
        help: "Requests that wait for a server",
        read: Gauge(|it| Some(f64::from(it.queue))),
    },
    Metric {
        name: "backend_max_queue_seen",
        haproxy: "haproxy_backend_max_queue",
        help: "The longest that the queue for any of the servers was",
        read: Gauge(|it| Some(it.queue_max as f64)),
    },
    Metric {
        name: "backend_requests",
        haproxy: "haproxy_backend_sessions_total",
        help: "Requests at the backend that are over",
        read: Counter(|it| it.traffic.requests),
    },
    Metric {
        name: "backend_http_responses",
        haproxy: "haproxy_backend_http_responses_total",
        help: "Answers by class of status",
        read: Classes(|it| &it.traffic.responses),
    },
    Metric {
        name: "backend_bytes_in",
        haproxy: "haproxy_backend_bytes_in_total",
        help: "Bytes of requests, heads included",
        read: Counter(|it| it.traffic.bytes_in),
    },
    Metric {
        name: "backend_bytes_out",
        haproxy: "haproxy_backend_bytes_out_total",
        help: "Bytes of answers, heads included",
        read: Counter(|it| it.traffic.bytes_out),
    },
    Metric {
        name: "backend_connection_attempts",
        haproxy: "haproxy_backend_connection_attempts_total",
        help: "Connections that were tried",
        read: Counter(|it| it.traffic.connects),
    },
    Metric {
        name: "backend_connection_reuses",
        haproxy: "haproxy_backend_connection_reuses_total",
        help: "Requests that were sent on a connection that was there already",
        read: Counter(|it| it.traffic.reuses),
    },
    Metric {
        name: "backend_connection_errors",
        haproxy: "haproxy_backend_connection_errors_total",
        help: "Connections that failed; and requests that found no server, or waited for one in vain",
        read: Counter(|it| it.traffic.connection_errors),
    },
    Metric {
        name: "backend_response_errors",
        haproxy: "haproxy_backend_response_errors_total",
        help: "Answers that did not come, were broken or late",
        read: Counter(|it| it.traffic.response_errors),
    },
    Metric {
        name: "backend_retry_warnings",
        haproxy: "haproxy_backend_retry_warnings_total",
        help: "Tries after one that failed",
        read: Counter(|it| it.traffic.retries),
    },
    Metric {
        name: "backend_redispatch_warnings",
        haproxy: "haproxy_backend_redispatch_warnings_total",
        help: "Tries that went to another server",
        read: Counter(|it| it.traffic.redispatches),
    },
    Metric {
        name: "backend_retries_refused",
        haproxy: "",
        help: "Tries that did not come, for the retry budget was empty",
        read: Counter(|it| it.retries_refused),
    },
    Metric {
        name: "backend_circuit_open",
        haproxy: "",
        help: "Whether the circuit breaker is open: 1, or half-open: 0.5; absent where failures do not open it",
        read: Gauge(|it| it.circuit.map(openness)),
    },
    Metric {
        name: "backend_circuit_refused",
        haproxy: "",
        help: "Requests that the circuit breaker refused",
        read: Counter(|it| it.circuit_refused),
    },
    Metric {
        name: "backend_client_aborts",
        haproxy: "haproxy_backend_client_aborts_total",
        help: "Exchanges that the client broke off, or was too slow for",
        read: Counter(|it| it.traffic.client_aborts),
    },
    Metric {
        name: "backend_server_aborts",
        haproxy: "haproxy_backend_server_aborts_total",
        help: "Answers that the server broke off, or was too slow with once they had begun",
        read: Counter(|it| it.traffic.server_aborts),
    },
    Metric {
        name: "backend_queue_time_seconds",
        haproxy: "haproxy_backend_queue_time_average_seconds",
        help: "From a request's head to the assignment of a server",
        read: Times(|it| &it.traffic.queue_time),
    },
    Metric {
        name: "backend_connect_time_seconds",
        haproxy: "haproxy_backend_connect_time_average_seconds",
        help: "From there until the connection stood; near 0 where it was there already",
        read: Times(|it| &it.traffic.connect_time),
    },
    Metric {
        name: "backend_response_time_seconds",
        haproxy: "haproxy_backend_response_time_average_seconds",
        help: "From the connection to the answer's head",
        read: Times(|it| &it.traffic.response_time),
    },
    Metric {
        name: "backend_total_time_seconds",
        haproxy: "haproxy_backend_total_time_average_seconds",
        help: "From a request's first byte to the end of its answer",
        read: Times(|it| &it.traffic.total_time),
    },
];

/// Of a server.
pub(in super::super) const SERVER: &[Metric<Server>] = &[
    Metric {
        name: "server_status",
        haproxy: "haproxy_server_status",
        help: "The server's state: 1 for the one it is in; a slot without a server is in MAINT",
        read: States(&["UP", "DOWN", "MAINT"], |it| match (it.disabled || it.vacant, it.up) {
            (true, _) => "MAINT",
            (false, true) => "UP",
            (false, false) => "DOWN",
        }),
    },
    Metric {
        name: "server_circuit_open",
        haproxy: "",
        help: "Whether the server's circuit breaker is open: 1, or half-open: 0.5; absent where it has none",
        read: Gauge(|it| it.circuit.map(openness)),
    },
    Metric {
        name: "server_weight",
        haproxy: "haproxy_server_weight",
        help: "The server's weight",
        read: Gauge(|it| Some(f64::from(it.weight))),
    },
    Metric {
        name: "server_current_requests",
        haproxy: "haproxy_server_current_sessions",
        help: "Requests now",
        read: Gauge(|it| Some(f64::from(it.requests_current))),
    },
    Metric {
        name: "server_max_requests_seen",
        haproxy: "haproxy_server_max_sessions",
        help: "The most requests there were at once",
        read: Gauge(|it| Some(it.requests_max as f64)),
    },
    Metric {
        name: "server_limit_requests",
        haproxy: "haproxy_server_limit_sessions",
        help: "How many requests there may be at once; absent where there is no limit",
        read: Gauge(|it| it.requests_limit.map(f64::from)),
    },
    Metric {
        name: "server_current_queue",
        haproxy: "haproxy_server_current_queue",
        help: "Requests that wait for this server and no other",
        read: Gauge(|it| Some(f64::from(it.queue))),
    },
    Metric {
        name: "server_max_queue_seen",
        haproxy: "haproxy_server_max_queue",
        help: "The longest that this queue was",
        read: Gauge(|it| Some(it.queue_max as f64)),
    },
    Metric {
        name: "server_checks",
        haproxy: "",
        help: "Health checks that are over",
        read: Counter(|it| it.check.as_ref().map_or(0, |check| check.total)),
    },
    Metric {
        name: "server_check_failures",
        haproxy: "haproxy_server_check_failures_total",
        help: "Health checks that failed",
        read: Counter(|it| it.check.as_ref().map_or(0, |check| check.failed)),
    },
    Metric {
        name: "server_check_duration_seconds",
        haproxy: "haproxy_server_check_duration_seconds",
        help: "How long the last health check took; absent before the first",
        read: Gauge(|it| Some(it.check.as_ref()?.last_ms? as f64 / 1e3)),
    },
    Metric {
        name: "server_check_up_down",
        haproxy: "haproxy_server_check_up_down_total",
        help: "How often the server went DOWN",
        read: Counter(|it| it.downs),
    },
    Metric {
        name: "server_downtime_seconds",
        haproxy: "haproxy_server_downtime_seconds_total",
        help: "For how long the server has been DOWN, all in all",
        read: Seconds(|it| it.downtime_seconds),
    },
    Metric {
        name: "server_requests",
        haproxy: "haproxy_server_sessions_total",
        help: "Requests at the server that are over",
        read: Counter(|it| it.traffic.requests),
    },
    Metric {
        name: "server_http_responses",
        haproxy: "haproxy_server_http_responses_total",
        help: "Answers by class of status",
        read: Classes(|it| &it.traffic.responses),
    },
    Metric {
        name: "server_bytes_in",
        haproxy: "haproxy_server_bytes_in_total",
        help: "Bytes of requests, heads included",
        read: Counter(|it| it.traffic.bytes_in),
    },
    Metric {
        name: "server_bytes_out",
        haproxy: "haproxy_server_bytes_out_total",
        help: "Bytes of answers, heads included",
        read: Counter(|it| it.traffic.bytes_out),
    },
    Metric {
        name: "server_connection_attempts",
        haproxy: "haproxy_server_connection_attempts_total",
        help: "Connections that were tried",
        read: Counter(|it| it.traffic.connects),
    },
    Metric {
        name: "server_connection_reuses",
        haproxy: "haproxy_server_connection_reuses_total",
        help: "Requests that were sent on a connection that was there already",
        read: Counter(|it| it.traffic.reuses),
    },
    Metric {
        name: "server_connection_errors",
        haproxy: "haproxy_server_connection_errors_total",
        help: "Connections that failed",
        read: Counter(|it| it.traffic.connection_errors),
    },
    Metric {
        name: "server_response_errors",
        haproxy: "haproxy_server_response_errors_total",
        help: "Answers that did not come, were broken or late",
        read: Counter(|it| it.traffic.response_errors),
    },
    Metric {
        name: "server_retry_warnings",
        haproxy: "haproxy_server_retry_warnings_total",
        help: "Tries after one that failed at this server",
        read: Counter(|it| it.traffic.retries),
    },
    Metric {
        name: "server_redispatch_warnings",
        haproxy: "haproxy_server_redispatch_warnings_total",
        help: "Tries that went to another server after one failed at this",
        read: Counter(|it| it.traffic.redispatches),
    },
    Metric {
        name: "server_client_aborts",
        haproxy: "haproxy_server_client_aborts_total",
        help: "Exchanges that the client broke off, or was too slow for",
        read: Counter(|it| it.traffic.client_aborts),
    },
    Metric {
        name: "server_server_aborts",
        haproxy: "haproxy_server_server_aborts_total",
        help: "Answers that the server broke off, or was too slow with once they had begun",
        read: Counter(|it| it.traffic.server_aborts),
    },
    Metric {
        name: "server_response_time_seconds",
        haproxy: "haproxy_server_response_time_average_seconds",
        help: "From the connection to the answer's head",
        read: Times(|it| &it.traffic.response_time),
    },
    Metric {
        name: "server_total_time_seconds",
        haproxy: "haproxy_server_total_time_average_seconds",
        help: "From a request's first byte to the end of its answer",
        read: Times(|it| &it.traffic.total_time),
    },
    Metric {
        name: "server_queue_seconds",
        haproxy: "haproxy_server_queue_time_average_seconds",
        help: "How long requests waited for the server, all together",
        read: Seconds(|it| it.traffic.queue_time.sum_us as f64 / 1e6),
    },
    Metric {
        name: "server_connect_seconds",
        haproxy: "haproxy_server_connect_time_average_seconds",
        help: "How long connections to the server took, all together",
        read: Seconds(|it| it.traffic.connect_time.sum_us as f64 / 1e6),
    },
];

/// How far a circuit breaker is open.
fn openness(standing: &str) -> f64 {
    match standing {
        "open" => 1.0,
        "half-open" => 0.5,
        _ => 0.0,
    }
}

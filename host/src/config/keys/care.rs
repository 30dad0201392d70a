//! How servers are cared for: `slowstart`, `observe` and what belongs to it; what is tried again; circuit breakers.

use super::{Key, Scope};

const BACKENDS: &[Scope] = &[Scope::Defaults, Scope::Backend];
const ALL: &[Scope] = &[Scope::Defaults, Scope::Backend, Scope::DefaultServer, Scope::Server];
const SERVERS: &[Scope] = &[Scope::DefaultServer, Scope::Server];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "slowstart",
        scopes: SERVERS,
        kind: "a duration, as in \"30s\"",
        default: "`\"0s\"`: its whole share at once",
        haproxy: "slowstart",
        doc: "How long a server that has come UP again takes to its whole share: its weight and its `maxconn` grow evenly from \
              next to nothing; see [server care](server-care.md#slow-start). It does not apply when the program starts.",
        example: "slowstart = \"30s\"",
    },
    Key {
        name: "observe",
        scopes: SERVERS,
        kind: "\"layer4\" or \"layer7\"",
        default: "none",
        haproxy: "observe",
        doc: "Whether the server's live traffic counts for its health: `\"layer4\"` sees whether connections can be made, \
              `\"layer7\"` answers as well. It needs `check = true`; see [server care](server-care.md#passive-checks).",
        example: "check = true\nobserve = \"layer7\"",
    },
    Key {
        name: "error_limit",
        scopes: SERVERS,
        kind: "an integer from 1 to 65535",
        default: "10",
        haproxy: "error-limit",
        doc: "Errors in a row, in live traffic, that are too many. One success starts the count anew.",
        example: "check = true\nobserve = \"layer4\"\nerror_limit = 50",
    },
    Key {
        name: "on_error",
        scopes: SERVERS,
        kind: "\"fastinter\", \"fail-check\", \"sudden-death\" or \"mark-down\"",
        default: "`\"fail-check\"`",
        haproxy: "on-error",
        doc: "What comes of too many errors. `\"fastinter\"`: the next check comes within `fastinter`, as with all of these. \
              `\"fail-check\"`: a check has failed. `\"sudden-death\"`: a check has failed, and one more takes the server \
              DOWN. `\"mark-down\"`: it is DOWN.",
        example: "check = true\nobserve = \"layer7\"\non_error = \"mark-down\"",
    },
    Key {
        name: "http_reuse",
        scopes: BACKENDS,
        kind: "\"never\", \"safe\", \"aggressive\" or \"always\"",
        default: "`\"safe\"`",
        haproxy: "http-reuse",
        doc: "Which requests may have a connection to a server that others had before. One that may come twice without harm always \
              may, but with `\"never\"`, where connections belong to their clients. What must not come twice gets, with \
              `\"safe\"`, a new connection if it is a client's first request, else one that served another a moment ago and is \
              seen to be open, or a new one; see [server care](server-care.md#connections-that-are-used-again).",
        example: "http_reuse = \"never\"",
    },
    Key {
        name: "retry_on",
        scopes: BACKENDS,
        kind: "\"conn-failure\", \"empty-response\", \"junk-response\", \"response-timeout\", \"all-retryable-errors\", \"none\", a \
               status such as 503, or an array of these",
        default: "`\"conn-failure\"`",
        haproxy: "retry-on",
        doc: "What is tried again, as often as `retries` says. Where a server may have seen the request, it is repeated only if its \
              method is among `retry_methods` and all of it, its body too, came in one piece; see \
              [server care](server-care.md#retries).",
        example: "retry_on = [\"conn-failure\", \"empty-response\", 503]",
    },
    Key {
        name: "retry_methods",
        scopes: BACKENDS,
        kind: "\"idempotent\" or \"all\"",
        default: "`\"idempotent\"`",
        haproxy: "http-request disable-l7-retry",
        doc: "Which requests are repeated that a server may have seen: those that may come twice without harm by their method, \
              GET, HEAD, OPTIONS, TRACE, PUT and DELETE, or all of them. Failed connections are tried again with any method.",
        example: "retry_methods = \"all\"",
    },
    Key {
        name: "retry_budget",
        scopes: BACKENDS,
        kind: "a table, or false",
        default: "false",
        haproxy: "",
        doc: "How many retries there may be over all of the backend's requests, so that they cannot multiply an outage; see \
              [server care](server-care.md#retry-budget). Past it a failure is final.",
        example: "retry_budget = { percent = 20, min_per_second = 10 }",
    },
    Key {
        name: "retry_budget.percent",
        scopes: BACKENDS,
        kind: "an integer from 0 to 1000",
        default: "20",
        haproxy: "",
        doc: "Retries for each hundred requests in the window.",
        example: "retry_budget = { percent = 10 }",
    },
    Key {
        name: "retry_budget.min_per_second",
        scopes: BACKENDS,
        kind: "an integer from 0 to 100000",
        default: "10",
        haproxy: "",
        doc: "Retries beside those, for each second of the window, so that a backend with few requests has some.",
        example: "retry_budget = { min_per_second = 1 }",
    },
    Key {
        name: "retry_budget.window",
        scopes: BACKENDS,
        kind: "a duration from 1s to 60s",
        default: "`\"10s\"`",
        haproxy: "",
        doc: "How long requests and retries count.",
        example: "retry_budget = { window = \"30s\" }",
    },
    Key {
        name: "circuit_breaker",
        scopes: ALL,
        kind: "a table, or false",
        default: "false",
        haproxy: "",
        doc: "Refuses at once what would only make things worse. A backend's answers 503, by what it holds at once or by its failures; a server's takes it out of the candidates, by its failures. See [server care](server-care.md#circuit-breakers).",
        example: "circuit_breaker = { error_percent = 50, open_for = \"5s\" }",
    },
    Key {
        name: "circuit_breaker.max_requests",
        scopes: BACKENDS,
        kind: "an integer from 1 to 4294967295",
        default: "no bound",
        haproxy: "",
        doc: "Requests that the backend holds at once, with those that wait; more are refused with 503.",
        example: "circuit_breaker = { max_requests = 1_000 }",
    },
    Key {
        name: "circuit_breaker.max_pending",
        scopes: BACKENDS,
        kind: "an integer from 1 to 4294967295",
        default: "no bound",
        haproxy: "",
        doc: "Requests in one line for a server's place; more are refused with 503. Lines form where servers have a `maxconn`.",
        example: "circuit_breaker = { max_pending = 100 }",
    },
    Key {
        name: "circuit_breaker.error_percent",
        scopes: ALL,
        kind: "an integer from 1 to 100",
        default: "failures do not open it",
        haproxy: "",
        doc: "The share of failures, in percent of requests, that opens it: no connection, no answer, one that is broken or late, or one of 500 and more but for 501 and 505.",
        example: "circuit_breaker = { error_percent = 50 }",
    },
    Key {
        name: "circuit_breaker.min_requests",
        scopes: ALL,
        kind: "an integer from 1 to 65535",
        default: "20",
        haproxy: "",
        doc: "Among fewer requests than these in the window no share of failures opens it.",
        example: "circuit_breaker = { error_percent = 50, min_requests = 100 }",
    },
    Key {
        name: "circuit_breaker.window",
        scopes: ALL,
        kind: "a duration from 1s to 60s",
        default: "`\"10s\"`",
        haproxy: "",
        doc: "How long requests count.",
        example: "circuit_breaker = { error_percent = 50, window = \"30s\" }",
    },
    Key {
        name: "circuit_breaker.open_for",
        scopes: ALL,
        kind: "a duration longer than 0, as in \"10s\"",
        default: "`\"10s\"`",
        haproxy: "",
        doc: "How long it is open, before probes try whether all is well again.",
        example: "circuit_breaker = { error_percent = 50, open_for = \"30s\" }",
    },
    Key {
        name: "circuit_breaker.probes",
        scopes: ALL,
        kind: "an integer from 1 to 1000",
        default: "3",
        haproxy: "",
        doc: "Requests that are let through after that, and no more at once. If all of them pass it closes; one that fails opens it anew.",
        example: "circuit_breaker = { error_percent = 50, probes = 1 }",
    },
];

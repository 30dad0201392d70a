//! `[[frontends.NAME.limits]]` and `[[backends.NAME.limits]]`.

use super::{Key, Scope};

const BOTH: &[Scope] = &[Scope::Frontend, Scope::Backend];
const FRONTEND: &[Scope] = &[Scope::Frontend];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "limits",
        scopes: BOTH,
        kind: "a table, or an array of tables",
        default: "none",
        haproxy: "stick-table, http-request track-sc0, http-request deny",
        doc: "How much is let in for each client, or whatever else tells requests apart; see [limits](limits.md). Each is a \
              section of its own as a rule, `[[frontends.NAME.limits]]`, and says one of `requests`, `connections` and \
              `connection_rate`. They are asked in the order of the file, the frontend's before the backend's, and the \
              first that is reached refuses.",
        example: "limits = [{ key = \"client\", requests = 100, per = \"10s\" }, { connections = 50 }]",
    },
    Key {
        name: "limits.name",
        scopes: BOTH,
        kind: "a string of letters, digits, `-`, `_`, `.` and `:`",
        default: "`limit-1` for the first, and so on",
        haproxy: "",
        doc: "Its name, for logs and for the headers of answers.",
        example: "limits = [{ name = \"per-client\", requests = 100, per = \"10s\" }]",
    },
    Key {
        name: "limits.key",
        scopes: BOTH,
        kind: "\"client\", \"header:NAME\", \"cookie:NAME\", \"path\", \"all\", or an array of two of these",
        default: "`\"client\"`",
        haproxy: "http-request track-sc0 <key>",
        doc: "What is counted apart: the client's address, a header's or cookie's value, the path without its query, or \
              two of them together; `\"all\"` counts everything as one. A request that does not have what is asked for is \
              not limited by it.",
        example: "limits = [{ key = [\"client\", \"path\"], requests = 5, per = \"1m\" }]",
    },
    Key {
        name: "limits.when",
        scopes: BOTH,
        kind: "a table of conditions",
        default: "each request",
        haproxy: "http-request track-sc0 … if",
        doc: "Which requests are counted: those for which every key of the table holds, as in a rule's `when`. All others \
              pass uncounted. Of connections there is no request to look at.",
        example: "limits = [{ requests = 5, per = \"1m\", when = { path = \"/login\", method = \"POST\" } }]",
    },
    Key {
        name: "limits.prefix_v4",
        scopes: BOTH,
        kind: "an integer from 0 to 32",
        default: "32",
        haproxy: "src,ipmask(<mask4>)",
        doc: "How many bits of an IPv4 address tell clients apart.",
        example: "limits = [{ prefix_v4 = 24, requests = 1_000, per = \"10s\" }]",
    },
    Key {
        name: "limits.prefix_v6",
        scopes: BOTH,
        kind: "an integer from 0 to 128",
        default: "64",
        haproxy: "src,ipmask(32,<mask6>)",
        doc: "How many bits of an IPv6 address tell clients apart. One client as a rule has 64 bits to choose from.",
        example: "limits = [{ prefix_v6 = 56, requests = 1_000, per = \"10s\" }]",
    },
    Key {
        name: "limits.requests",
        scopes: BOTH,
        kind: "an integer from 1 to 1000000000",
        default: "not limited",
        haproxy: "http_req_rate",
        doc: "The most requests in the time that `per` says, evenly refilled: at 100 per 10 s one more each 100 ms.",
        example: "limits = [{ requests = 100, per = \"10s\", burst = 20 }]",
    },
    Key {
        name: "limits.per",
        scopes: BOTH,
        kind: "a duration, as in \"10s\"",
        default: "`\"1s\"`",
        haproxy: "stick-table … store http_req_rate(<period>)",
        doc: "The time in which so many may come. More than a million a second cannot be told from no limit, and are an \
              error.",
        example: "limits = [{ requests = 600, per = \"1m\" }]",
    },
    Key {
        name: "limits.burst",
        scopes: BOTH,
        kind: "an integer from 1 to 1000000000",
        default: "as many as come in the time that `per` says",
        haproxy: "",
        doc: "How many may come at once after a pause. In any stretch of time no more pass than its share at the rate, and \
              this many.",
        example: "limits = [{ requests = 100, per = \"10s\", burst = 20 }]",
    },
    Key {
        name: "limits.connections",
        scopes: FRONTEND,
        kind: "an integer from 1 to 4294967295",
        default: "not limited",
        haproxy: "conn_cur",
        doc: "The most connections of one client at once, from accept to close. What comes past it is closed unread. The \
              key must be the client.",
        example: "limits = [{ connections = 50 }]",
    },
    Key {
        name: "limits.connection_rate",
        scopes: FRONTEND,
        kind: "an integer from 1 to 1000000000",
        default: "not limited",
        haproxy: "conn_rate",
        doc: "The most new connections of one client in the time that `per` says. What comes past it is closed unread. The \
              key must be the client, or all.",
        example: "limits = [{ connection_rate = 20, per = \"1s\" }]",
    },
    Key {
        name: "limits.status",
        scopes: BOTH,
        kind: "the status of a page, such as 429 or 503",
        default: "429",
        haproxy: "http-request deny deny_status",
        doc: "The status that answers a request over the limit. The answer has that status's page, `retry-after`, \
              `ratelimit` and `ratelimit-policy`.",
        example: "limits = [{ requests = 100, per = \"10s\", status = 503 }]",
    },
    Key {
        name: "limits.dry_run",
        scopes: BOTH,
        kind: "true or false",
        default: "false",
        haproxy: "",
        doc: "Whether what is over the limit is counted and logged, and passes.",
        example: "limits = [{ requests = 100, per = \"10s\", dry_run = true }]",
    },
    Key {
        name: "limits.headers",
        scopes: BOTH,
        kind: "true or false",
        default: "false",
        haproxy: "",
        doc: "Whether responses to requests that pass say how much is left, in `ratelimit` and `ratelimit-policy`.",
        example: "limits = [{ requests = 100, per = \"10s\", headers = true }]",
    },
    Key {
        name: "limits.max_keys",
        scopes: BOTH,
        kind: "an integer from 16 to 10000000",
        default: "100000",
        haproxy: "stick-table size",
        doc: "The most keys that a limit on a rate remembers, which decides the memory: 32 bytes each, taken at the start. \
              Past it the key that is nearest to a full allowance is forgotten. It has no effect on `connections`, \
              which counts every client that has one.",
        example: "limits = [{ requests = 100, per = \"10s\", max_keys = 1_000_000 }]",
    },
];

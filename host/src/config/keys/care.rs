//! How servers are cared for: `slowstart`, `observe` and what belongs to it.

use super::{Key, Scope};

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
];

//! `h2`: HTTP/2 with clients.

use super::{Key, Scope};

const FRONTENDS: &[Scope] = &[Scope::Defaults, Scope::Frontend];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "h2",
        scopes: FRONTENDS,
        kind: "true, false, or a table",
        default: "true",
        haproxy: "proto h2, alpn h2",
        doc: "Whether clients may speak HTTP/2: those that begin with its preface, in clear text. See \
              [http2.md](http2.md).",
        example: "h2 = false",
    },
    Key {
        name: "h2.max_concurrent_streams",
        scopes: FRONTENDS,
        kind: "an integer from 1 to 65535",
        default: "100",
        haproxy: "tune.h2.fe.max-concurrent-streams",
        doc: "How many requests a connection may have under way at once.",
        example: "h2 = { max_concurrent_streams = 32 }",
    },
    Key {
        name: "h2.initial_window_size",
        scopes: FRONTENDS,
        kind: "a size from 1024 bytes to 2147483647 bytes, as in \"64k\"",
        default: "65535",
        haproxy: "tune.h2.fe.initial-window-size",
        doc: "How much of a request's body a client may send before it is asked for more.",
        example: "h2 = { initial_window_size = \"256k\" }",
    },
    Key {
        name: "h2.initial_connection_window_size",
        scopes: FRONTENDS,
        kind: "a size from 65535 bytes to 2147483647 bytes, as in \"256k\"",
        default: "`\"256k\"`",
        haproxy: "",
        doc: "The same, for all requests of a connection together: the most that a client can make the program hold of \
              bodies.",
        example: "h2 = { initial_connection_window_size = \"1M\" }",
    },
    Key {
        name: "h2.max_frame_size",
        scopes: FRONTENDS,
        kind: "a size from 16384 bytes to 16777215 bytes, as in \"16k\"",
        default: "`\"16k\"`",
        haproxy: "tune.h2.max-frame-size",
        doc: "The largest frame that a client may send.",
        example: "h2 = { max_frame_size = \"64k\" }",
    },
    Key {
        name: "h2.max_header_list_size",
        scopes: FRONTENDS,
        kind: "a size from 1024 bytes to 16 MiB, as in \"16k\"",
        default: "`tune.bufsize`, less 1 KiB",
        haproxy: "",
        doc: "The largest head before compression, with 32 bytes more for each line. What is larger than `tune.bufsize` \
              lets through is refused whatever this says.",
        example: "h2 = { max_header_list_size = \"8k\" }",
    },
];

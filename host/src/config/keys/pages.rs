//! `errorfile`.

use super::{Key, Scope};

pub(super) const KEYS: &[Key] = &[Key {
    name: "errorfile",
    scopes: &[Scope::Defaults, Scope::Frontend, Scope::Backend],
    kind: "a table of files by status, as in { 503 = \"503.http\" }",
    default: "built-in pages",
    haproxy: "errorfile",
    doc: "What clients get in place of the built-in pages, by status from 400 to 599: that of a failure, a limit, or a \
          rule that denies. A file whose name ends in `.html` or `.htm` is HTML and gets a head; any \
          other is a whole response, sent as it is but for the lines on the connection, and with a `content-length` if it \
          has none; an empty one, such as `/dev/null`, closes the connection without an answer. The files are read at the \
          start and at each reload. A backend's pages stand over those of the frontend, and these over those of \
          `[defaults]`, status by status.",
    example: "errorfile = { 503 = \"errors/503.http\", 429 = \"errors/slow-down.html\" }",
}];

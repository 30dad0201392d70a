//! Every key of `lb.toml`: where it may stand, what it takes, and what it means.
//!
//! Reading finds unknown keys and words its messages from this table, and `docs/configuration.md` is made from
//! it, so a key cannot be accepted without being documented.

mod admin;
mod care;
mod discovery;
mod global;
mod http2;
mod limits;
mod logging;
mod pages;
mod proxy;
mod rules;
mod server;
mod tls;

/// A kind of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The top level.
    File,
    /// `[global]`.
    Global,
    /// `[defaults]`.
    Defaults,
    /// `[frontends.NAME]`.
    Frontend,
    /// `[backends.NAME]`.
    Backend,
    /// `default_server`, in `[defaults]` and in backends.
    DefaultServer,
    /// `[[backends.NAME.servers]]`.
    Server,
    /// `[backends.NAME.servers]`, a table: what fills a backend's slots.
    Template,
    /// `[resolvers.NAME]`.
    Resolvers,
    /// `[[frontends.NAME.rules]]` and `[[backends.NAME.rules]]`.
    Rule,
    /// `when` in a rule, and what stands in its `all`, `any` and `not`.
    Condition,
}

impl Scope {
    /// All of them, in the order of the reference.
    pub const ALL: [Scope; 11] = [
        Scope::File,
        Scope::Global,
        Scope::Defaults,
        Scope::Frontend,
        Scope::Backend,
        Scope::DefaultServer,
        Scope::Server,
        Scope::Template,
        Scope::Resolvers,
        Scope::Rule,
        Scope::Condition,
    ];

    /// The section as it is written in `lb.toml`.
    pub fn written(self) -> &'static str {
        match self {
            Scope::File => "the top level",
            Scope::Global => "[global]",
            Scope::Defaults => "[defaults]",
            Scope::Frontend => "[frontends.NAME]",
            Scope::Backend => "[backends.NAME]",
            Scope::DefaultServer => "default_server",
            Scope::Server => "[[backends.NAME.servers]]",
            Scope::Template => "[backends.NAME.servers]",
            Scope::Resolvers => "[resolvers.NAME]",
            Scope::Rule => "[[frontends.NAME.rules]]",
            Scope::Condition => "when",
        }
    }
}

/// A key of `lb.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name; inside a table of its own, with the table's name and a dot before it: `timeout.client`.
    pub name: &'static str,
    /// The sections that have it.
    pub scopes: &'static [Scope],
    /// What it takes, in words that continue "must be".
    pub kind: &'static str,
    /// What holds where it is not given; empty where the key is a table, `required` where it cannot be left
    /// out.
    pub default: &'static str,
    /// What HAProxy calls it; empty where HAProxy has nothing like it.
    pub haproxy: &'static str,
    /// What it means, in sentences.
    pub doc: &'static str,
    /// A line or more of `lb.toml` that use it, as they stand in its first section.
    pub example: &'static str,
}

/// Every key, table by table.
pub fn all() -> impl Iterator<Item = &'static Key> + Clone {
    [
        FILE,
        global::KEYS,
        admin::KEYS,
        proxy::SHARED,
        proxy::FRONTEND,
        proxy::BACKEND,
        server::KEYS,
        care::KEYS,
        rules::KEYS,
        logging::KEYS,
        pages::KEYS,
        limits::KEYS,
        tls::KEYS,
        discovery::KEYS,
        http2::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The keys of a section. A template has those of `default_server` besides its own.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Key> + Clone {
    all().filter(move |key| {
        let of_servers = scope == Scope::Template && key.scopes.contains(&Scope::DefaultServer);
        of_servers || key.scopes.contains(&scope)
    })
}

/// The key that is called `name` (with its table's name and a dot, if it stands in one) in a section.
pub fn find(scope: Scope, name: &str) -> Option<&'static Key> {
    of(scope).find(|key| key.name == name)
}

const FILE: &[Key] = &[
    Key {
        name: "global",
        scopes: &[Scope::File],
        kind: "a table",
        default: "",
        haproxy: "global",
        doc: "What holds for the process.",
        example: "[global]\nmaxconn = 4096",
    },
    Key {
        name: "defaults",
        scopes: &[Scope::File],
        kind: "a table",
        default: "",
        haproxy: "defaults",
        doc: "What frontends and backends take over where they do not say it themselves.",
        example: "[defaults]\nretries = 2",
    },
    Key {
        name: "frontends",
        scopes: &[Scope::File],
        kind: "a table of frontends by name",
        default: "required",
        haproxy: "frontend",
        doc: "Where clients come in. A name has letters, digits, `-`, `_`, `.` and `:`.",
        example: "[frontends.web]\nbind = \"*:8080\"\ndefault_backend = \"app\"",
    },
    Key {
        name: "backends",
        scopes: &[Scope::File],
        kind: "a table of backends by name",
        default: "required",
        haproxy: "backend",
        doc: "Servers, and who chooses among them.",
        example: "[backends.app]\nservers = [{ name = \"a\", address = \"10.0.0.1:80\" }]",
    },
];

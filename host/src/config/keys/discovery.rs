//! `[resolvers.NAME]`, `servers = { from = … }`, and who resolves a server's name.

use super::{Key, Scope};

const FILE: &[Scope] = &[Scope::File];
const RESOLVERS: &[Scope] = &[Scope::Resolvers];
const SERVERS: &[Scope] = &[Scope::DefaultServer, Scope::Server];
const TEMPLATE: &[Scope] = &[Scope::Template];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "resolvers",
        scopes: FILE,
        kind: "a table of resolvers by name",
        default: "none",
        haproxy: "resolvers",
        doc: "Who is asked for the addresses of servers, and how. The name `system` stands for the name servers of \
              `/etc/resolv.conf` and needs no section.",
        example: "[resolvers.internal]\nnameservers = [\"udp@10.0.0.2:53\"]",
    },
    Key {
        name: "nameservers",
        scopes: RESOLVERS,
        kind: "an array of addresses, as in [\"udp@10.0.0.2:53\", \"tcp@10.0.0.3:53\"]",
        default: "those of `/etc/resolv.conf`",
        haproxy: "nameserver",
        doc: "The DNS servers, all asked at once: addresses that one has go before what the others say. `udp@`, or nothing: \
              asked over UDP, and over TCP where an answer does not fit; `tcp@`: over TCP alone.",
        example: "nameservers = [\"udp@10.0.0.2:53\"]",
    },
    Key {
        name: "resolve_retries",
        scopes: RESOLVERS,
        kind: "an integer from 0 to 100",
        default: "3",
        haproxy: "resolve_retries",
        doc: "How often a question is asked again where no answer comes.",
        example: "resolve_retries = 2",
    },
    Key {
        name: "timeout",
        scopes: RESOLVERS,
        kind: "a table of durations",
        default: "",
        haproxy: "timeout",
        doc: "How long to wait for name servers.",
        example: "timeout = { retry = \"500ms\" }",
    },
    Key {
        name: "timeout.retry",
        scopes: RESOLVERS,
        kind: "a duration longer than 0, as in \"1s\"",
        default: "`\"1s\"`",
        haproxy: "timeout retry",
        doc: "How long an answer may take before the question is asked again.",
        example: "timeout.retry = \"500ms\"",
    },
    Key {
        name: "min_ttl",
        scopes: RESOLVERS,
        kind: "a duration longer than 0, as in \"1s\"",
        default: "`\"1s\"`",
        haproxy: "",
        doc: "A name is asked for again when its records' TTL is over, and never sooner than this.",
        example: "min_ttl = \"5s\"",
    },
    Key {
        name: "max_ttl",
        scopes: RESOLVERS,
        kind: "a duration longer than 0, as in \"1h\"",
        default: "`\"1h\"`",
        haproxy: "hold valid",
        doc: "A name is asked for again after this time, however long its records' TTL is.",
        example: "max_ttl = \"60s\"",
    },
    Key {
        name: "hold",
        scopes: RESOLVERS,
        kind: "a table of durations",
        default: "",
        haproxy: "hold",
        doc: "How long what was known holds. While no name server answers, or they answer with an error, it holds for \
              as long as that lasts.",
        example: "hold = { nx = \"1m\", obsolete = \"10s\" }",
    },
    Key {
        name: "hold.nx",
        scopes: RESOLVERS,
        kind: "a duration, as in \"30s\"",
        default: "`\"30s\"`",
        haproxy: "hold nx",
        doc: "How long the last addresses hold after the name servers say that the name does not exist, or has no \
              address. Then its servers are DOWN.",
        example: "hold.nx = \"1m\"",
    },
    Key {
        name: "hold.obsolete",
        scopes: RESOLVERS,
        kind: "a duration, as in \"30s\"",
        default: "`\"0s\"`",
        haproxy: "hold obsolete",
        doc: "How long an address of a template holds that the answers no longer have: for name servers that give \
              a part of the addresses at a time.",
        example: "hold.obsolete = \"30s\"",
    },
    Key {
        name: "resolvers",
        scopes: SERVERS,
        kind: "the name of one of [resolvers], or \"system\"",
        default: "the operating system",
        haproxy: "resolvers",
        doc: "Who resolves the server's name. Without it the operating system does, every ten seconds, by all means \
              that it has; with it DNS does, behind `/etc/hosts`, and by the records' TTL.",
        example: "resolvers = \"system\"",
    },
    Key {
        name: "resolve_prefer",
        scopes: SERVERS,
        kind: "\"ipv4\" or \"ipv6\"",
        default: "`\"ipv6\"`",
        haproxy: "resolve-prefer",
        doc: "Which addresses are taken where `resolvers` knows a name's IPv4 and IPv6 addresses; the others count \
              only where there are none of these.",
        example: "resolve_prefer = \"ipv4\"",
    },
    Key {
        name: "from",
        scopes: TEMPLATE,
        kind: "a source, as in \"dns:app.example:80\" or \"srv:_http._tcp.app.example\"",
        default: "required",
        haproxy: "server-template … <fqdn>",
        doc: "Where the servers come from. `dns:NAME:PORT`: the addresses of a name. `srv:NAME`: its SRV records, with \
              ports and weights; the lowest priority serves, others are backups. `file:PATH`: a file of servers, TOML \
              or JSON by its extension, read again when it changes. `consul:URL`: Consul's health API, by `http` or `https`, with \
              blocking queries. [discovery.md](discovery.md) says more.",
        example: "from = \"srv:_http._tcp.app.example\"",
    },
    Key {
        name: "max",
        scopes: TEMPLATE,
        kind: "an integer from 1 to 4096",
        default: "required",
        haproxy: "server-template … <num>",
        doc: "How many slots there are, and so how many servers at most.",
        example: "max = 20",
    },
    Key {
        name: "name",
        scopes: TEMPLATE,
        kind: "a string of letters, digits, `-`, `_`, `.` and `:`",
        default: "required",
        haproxy: "server-template <prefix>",
        doc: "What the slots' names begin with; a number from 1 on follows. It is also the cookie of the slot's server, \
              where the backend has persistence.",
        example: "name = \"app\"",
    },
    Key {
        name: "hold",
        scopes: TEMPLATE,
        kind: "a duration, as in \"30s\"",
        default: "`hold.nx` of the resolvers, or `\"30s\"`",
        haproxy: "hold nx",
        doc: "How long the last servers stay after the source has said that there are none. While the source cannot \
              be asked, they stay for as long as that lasts.",
        example: "hold = \"1m\"",
    },
    Key {
        name: "wait",
        scopes: TEMPLATE,
        kind: "a duration from 1s to 10m, as in \"1m\"",
        default: "`\"5m\"`",
        haproxy: "",
        doc: "How long Consul may hold back an answer while nothing changes.",
        example: "from = \"consul:http://127.0.0.1:8500/v1/health/service/web?passing\"\nwait = \"1m\"",
    },
    Key {
        name: "source_ca_file",
        scopes: TEMPLATE,
        kind: "a path",
        default: "the system's authorities",
        haproxy: "",
        doc: "A PEM file of the authorities that Consul's own certificate must come from, where `from` says `https`. It is \
              read anew for each question. That of the servers is `ca_file`.",
        example: "from = \"consul:https://consul.internal:8501/v1/health/service/web?passing\"\nsource_ca_file = \"consul-ca.pem\"",
    },
    Key {
        name: "token_file",
        scopes: TEMPLATE,
        kind: "a path",
        default: "none",
        haproxy: "",
        doc: "The file that Consul's token is in. It is read anew for each question.",
        example: "from = \"consul:http://127.0.0.1:8500/v1/health/service/web?passing\"\ntoken_file = \"consul.token\"",
    },
    Key {
        name: "token_env",
        scopes: TEMPLATE,
        kind: "the name of a variable",
        default: "none",
        haproxy: "",
        doc: "The variable of the environment that Consul's token is in.",
        example: "from = \"consul:http://127.0.0.1:8500/v1/health/service/web?passing\"\ntoken_env = \"CONSUL_HTTP_TOKEN\"",
    },
];

//! TLS: `tls` of a `bind`, what frontends tell browsers, and `ssl` of servers.

use super::{Key, Scope};

const FRONTEND: &[Scope] = &[Scope::Frontend];
const FRONTENDS: &[Scope] = &[Scope::Defaults, Scope::Frontend];
const SERVERS: &[Scope] = &[Scope::DefaultServer, Scope::Server];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "bind.tls",
        scopes: FRONTEND,
        kind: "a table",
        default: "",
        haproxy: "bind … ssl",
        doc: "Clients come by TLS. The page [TLS](tls.md) shows how it all goes together.",
        example: "bind = [{ address = \"*:443\", tls = { crt = \"site.pem\" } }]",
    },
    Key {
        name: "bind.tls.crt",
        scopes: FRONTEND,
        kind: "a path, or an array of paths",
        default: "required",
        haproxy: "bind … crt",
        doc: "Certificates: PEM files with the chain and the private key, or directories of such files. Each serves the \
              hosts that it names, wildcards such as `*.example.org` too; the first serves everybody else. Without a \
              private key in it, that of `site.pem` is looked for in `site.pem.key` and `site.key`. Files that \
              changed are read again on SIGHUP and, with `watch = true`, by themselves.",
        example: "bind = { address = \"*:443\", tls = { crt = [\"site.pem\", \"certs/\"] } }",
    },
    Key {
        name: "bind.tls.key",
        scopes: FRONTEND,
        kind: "a path",
        default: "in the file of `crt`, or beside it",
        haproxy: "",
        doc: "The private key of a `crt` that is one file.",
        example: "bind = { address = \"*:443\", tls = { crt = \"fullchain.pem\", key = \"privkey.pem\" } }",
    },
    Key {
        name: "bind.tls.strict_sni",
        scopes: FRONTEND,
        kind: "true or false",
        default: "false",
        haproxy: "bind … strict-sni",
        doc: "Whether clients that name no host, or one that no certificate is for, are refused instead of getting the \
              first certificate.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", strict_sni = true } }",
    },
    Key {
        name: "strict_sni_host",
        scopes: FRONTENDS,
        kind: "true or false",
        default: "false",
        haproxy: "http-request deny deny_status 421",
        doc: "Whether a request by TLS must be for the host that its client named in the handshake; another one is \
              answered with 421, and clients open a connection of its own for it. Browsers send requests for several hosts over \
              one connection of HTTP/2 where a certificate is for all of them. With clients' certificates, or rules on `sni`, \
              that would get past what the other host asks for. Who named no host may ask for an IP address alone.",
        example: "strict_sni_host = true",
    },
    Key {
        name: "bind.tls.alpn",
        scopes: FRONTEND,
        kind: "a protocol, as in \"http/1.1\", or an array of protocols",
        default: "every protocol that is spoken, HTTP/2 first",
        haproxy: "bind … alpn",
        doc: "The protocols that clients are offered, the most wanted first: `h2` and `http/1.1`. With `h2 = false` the \
              first is not.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", alpn = [\"http/1.1\"] } }",
    },
    Key {
        name: "bind.tls.min_version",
        scopes: FRONTEND,
        kind: "\"1.2\" or \"1.3\"",
        default: "`\"1.2\"`",
        haproxy: "bind … ssl-min-ver",
        doc: "The oldest version of TLS that is spoken. Older ones than 1.2 are not.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", min_version = \"1.3\" } }",
    },
    Key {
        name: "bind.tls.max_version",
        scopes: FRONTEND,
        kind: "\"1.2\" or \"1.3\"",
        default: "`\"1.3\"`",
        haproxy: "bind … ssl-max-ver",
        doc: "The newest version of TLS that is spoken.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", max_version = \"1.2\" } }",
    },
    Key {
        name: "bind.tls.tickets",
        scopes: FRONTEND,
        kind: "true or false",
        default: "true",
        haproxy: "bind … no-tls-tickets",
        doc: "Whether sessions are handed to clients as encrypted tickets, whose keys change every few hours. Without \
              them, sessions are kept here, the last 20480 of each listener. Both are shared by all workers.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", tickets = false } }",
    },
    Key {
        name: "bind.tls.verify",
        scopes: FRONTEND,
        kind: "\"none\", \"optional\" or \"required\"",
        default: "`\"none\"`",
        haproxy: "bind … verify",
        doc: "Whether clients are asked for a certificate of an authority in `ca_file`. One that is shown must be good. \
              Its subject goes to servers in `x-ssl-client-cn` and `x-ssl-client-dn`, and `x-ssl-client-verify: 0` \
              says that it was found good; lines of these names that a client sends are removed.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", verify = \"required\", ca_file = \"clients.pem\" } }",
    },
    Key {
        name: "bind.tls.ca_file",
        scopes: FRONTEND,
        kind: "a path",
        default: "none",
        haproxy: "bind … ca-file",
        doc: "A PEM file of the authorities that clients' certificates must come from, or of clients' certificates \
              themselves.",
        example: "bind = { address = \"*:443\", tls = { crt = \"site.pem\", verify = \"optional\", ca_file = \"clients.pem\" } }",
    },
    Key {
        name: "hsts",
        scopes: FRONTENDS,
        kind: "a duration, as in \"365d\", false, or a table",
        default: "none",
        haproxy: "http-after-response set-header Strict-Transport-Security",
        doc: "Browsers are told to come by TLS only, for so long: `strict-transport-security` in each answer over TLS, errors \
              and redirects included. An `errorfile`, or an answer of a rule, that has the line itself keeps its own.",
        example: "hsts = \"365d\"",
    },
    Key {
        name: "hsts.max_age",
        scopes: FRONTENDS,
        kind: "a duration, as in \"365d\"",
        default: "required",
        haproxy: "",
        doc: "How long. `\"0s\"` has browsers forget it.",
        example: "hsts = { max_age = \"365d\" }",
    },
    Key {
        name: "hsts.include_subdomains",
        scopes: FRONTENDS,
        kind: "true or false",
        default: "false",
        haproxy: "",
        doc: "Whether it holds for the hosts below this one too.",
        example: "hsts = { max_age = \"365d\", include_subdomains = true }",
    },
    Key {
        name: "hsts.preload",
        scopes: FRONTENDS,
        kind: "true or false",
        default: "false",
        haproxy: "",
        doc: "Whether browsers may have it built in, so that not even the first request comes in clear. Their lists want \
              `include_subdomains` and a year.",
        example: "hsts = { max_age = \"365d\", include_subdomains = true, preload = true }",
    },
    Key {
        name: "redirect_https",
        scopes: FRONTENDS,
        kind: "true, false, a status (301, 302, 307 or 308), or a table",
        default: "false",
        haproxy: "http-request redirect scheme https",
        doc: "Requests that came in clear are answered with the same address on https. `true` is 302.",
        example: "redirect_https = 301",
    },
    Key {
        name: "redirect_https.code",
        scopes: FRONTENDS,
        kind: "301, 302, 307 or 308",
        default: "302",
        haproxy: "http-request redirect … code",
        doc: "The answer's status. With 307 and 308 clients repeat the request's method and body.",
        example: "redirect_https = { code = 308 }",
    },
    Key {
        name: "redirect_https.port",
        scopes: FRONTENDS,
        kind: "an integer from 1 to 65535",
        default: "443",
        haproxy: "",
        doc: "The port to come to.",
        example: "redirect_https = { code = 301, port = 8443 }",
    },
    Key {
        name: "ssl",
        scopes: SERVERS,
        kind: "true or false",
        default: "false",
        haproxy: "server … ssl",
        doc: "Whether the server is spoken to by TLS.",
        example: "ssl = true",
    },
    Key {
        name: "verify",
        scopes: SERVERS,
        kind: "\"required\" or \"none\"",
        default: "`\"required\"`",
        haproxy: "server … verify",
        doc: "Whether the server's certificate must be valid, of a known authority and for the name that `sni` or the \
              address has. With `\"none\"` anybody on the way can read and change what passes.",
        example: "ssl = true\nverify = \"none\"",
    },
    Key {
        name: "ca_file",
        scopes: SERVERS,
        kind: "a path",
        default: "the system's authorities",
        haproxy: "server … ca-file",
        doc: "A PEM file of the authorities that the server's certificate must come from, or of that certificate itself: \
              then exactly it is accepted.",
        example: "ssl = true\nca_file = \"internal-ca.pem\"",
    },
    Key {
        name: "sni",
        scopes: SERVERS,
        kind: "a host name or an IP address",
        default: "the host of `address`",
        haproxy: "server … sni, verifyhost",
        doc: "The name that the server is asked for, and that its certificate must be for.",
        example: "ssl = true\nsni = \"app.internal\"",
    },
    Key {
        name: "crt",
        scopes: SERVERS,
        kind: "a path",
        default: "none",
        haproxy: "server … crt",
        doc: "A PEM file with the certificate that the server is shown where it asks for one, and its private key.",
        example: "ssl = true\ncrt = \"lb.pem\"",
    },
    Key {
        name: "key",
        scopes: SERVERS,
        kind: "a path",
        default: "in the file of `crt`, or beside it",
        haproxy: "",
        doc: "The private key of `crt`.",
        example: "ssl = true\ncrt = \"lb.pem\"\nkey = \"lb.key\"",
    },
    Key {
        name: "alpn",
        scopes: SERVERS,
        kind: "a protocol, as in \"http/1.1\", or an array of protocols",
        default: "`\"h2\"` with `proto = \"h2\"`, else none is offered",
        haproxy: "server … alpn",
        doc: "The protocols that the server is offered. It is spoken to in the one that `proto` says.",
        example: "ssl = true\nalpn = \"http/1.1\"",
    },
    Key {
        name: "check_ssl",
        scopes: SERVERS,
        kind: "true or false",
        default: "that of `ssl`, unless `addr` or `port` sends checks elsewhere",
        haproxy: "server … check-ssl",
        doc: "Whether health checks speak TLS.",
        example: "check = true\nssl = true\ncheck_ssl = false",
    },
];

//! Bytes from files: whatever they hold, they are read or refused with a reason.

use std::sync::{Arc, LazyLock};

use super::Target;
use crate::config;
use crate::config::model::discovery::FileFormat;
use crate::discovery;
use crate::failure::Connection;
use crate::http::body::{Decoder, Piece};
use crate::http::head::ResponseHead;
use crate::http::parse;
use crate::http::trailers::Sender;
use crate::pages;
use crate::policy::Runtime;
use crate::rules::{Map, NetworkSet};

pub(super) const CONFIGURATION: Target = Target::new(
    "configuration",
    &[
        "[global]\n",
        "[defaults]\n",
        "[frontends.web]\n",
        "[backends.app]\n",
        "[[backends.app.servers]]\n",
        "[[frontends.web.rules]]\n",
        "[resolvers.dns]\n",
        "[defaults.default_server]\n",
        "bind = ",
        "default_backend = ",
        "balance = ",
        "cookie = ",
        "persistence = ",
        "servers = ",
        "address = ",
        "name = ",
        "timeout = ",
        "httpchk = ",
        "log = ",
        "log_format = ",
        "limits = ",
        "when = ",
        "redirect = ",
        "respond = ",
        "errorfile = ",
        "nameservers = ",
        "stick = ",
        "tls = ",
        "admin = ",
        "policy = ",
        "path_prefix = ",
        "use_backend = ",
        "deny = ",
        "\"127.0.0.1:80\"",
        "\"*:80-90\"",
        "\"[::]:80\"",
        "\"unix@/x\"",
        "\"fd@5\"",
        "\"roundrobin\"",
        "\"app\"",
        "\"web\"",
        "\"5s\"",
        "\"1h\"",
        "true",
        "false",
        "0",
        "-1",
        "99999999999999999999",
        "1.5",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        "\n",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "=",
        ".",
        "é",
        "\u{0}",
    ],
    configuration,
);

pub(super) const LOG_FORMAT: Target = Target::new(
    "log-format",
    &[
        "%",
        "%%",
        "%{",
        "}",
        "+Q",
        "-Q",
        "+X",
        "+E",
        ",",
        "o",
        "%ci",
        "%cp",
        "%f",
        "%b",
        "%s",
        "%ST",
        "%B",
        "%r",
        "%HM",
        "%HU",
        "%Tr",
        "%Ta",
        "%ts",
        "%tsc",
        "%[",
        "]",
        "req.hdr(",
        "res.hdr(",
        "capture.req.hdr(",
        ")",
        "src",
        "ssl_fc",
        ",lower",
        "%hr",
        "%hs",
        "%ID",
        "%T",
        "\\n",
        "\\x00",
        " ",
        "é",
    ],
    log_format,
);

pub(super) const PAGE: Target = Target::new(
    "page",
    &[
        "HTTP/1.1 503 Service Unavailable\r\n",
        "HTTP/1.0 ",
        "HTTP/1.1 ",
        "200",
        "204",
        "304",
        "100",
        "\r\n",
        "\n",
        "\r\n\r\n",
        "Content-Length: ",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "X: y\r\n",
        "hello",
        "<html>",
        " ",
        ": ",
        "0",
        "5",
        "\u{0}",
        "é",
    ],
    page,
);

pub(super) const LISTS: Target = Target::new(
    "lists",
    &[
        "10.0.0.0/8\n",
        "192.0.2.1",
        "2001:db8::/32",
        "::ffff:192.0.2.1",
        "/",
        "/33",
        "/129",
        "\n",
        "#",
        " ",
        "app",
        "web",
        "example.test",
        "*.example.test",
        "/path",
        "*",
        ".",
        "é",
        "\u{0}",
    ],
    lists,
);

pub(super) const SERVERS: Target = Target::new(
    "servers",
    &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"servers\"",
        "\"address\"",
        "\"name\"",
        "\"weight\"",
        "\"10.0.0.1:80\"",
        "1",
        "256",
        "-1",
        "\n",
        "servers = ",
        "address = ",
        "weight = ",
        "\"Node\"",
        "\"Service\"",
        "\"Address\"",
        "\"Port\"",
        "\"Checks\"",
        "\"Status\"",
        "\"passing\"",
        "\"Weights\"",
        "null",
        "true",
        "é",
    ],
    servers,
);

/// Without words: its inputs are taken as they are. What compiles takes its time.
pub(super) const COMPONENT: Target = Target::new("component", &[], component).slow(20);

fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let said = match config::parse(&text, "lb.toml") {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => {
            assert!(diagnostics.has_errors());
            diagnostics
        }
    };
    let plain = said.render(false);
    assert!(!said.has_errors() || plain.contains("error"), "{plain}");
}

fn log_format(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = toml::Value::String(text.into_owned());
    configuration(format!("[defaults]\nlog_format = {text}\n").as_bytes());
}

fn page(bytes: &[u8]) {
    let Ok(page) = pages::raw(503, bytes) else { return };
    for connection in [Connection::Close, Connection::Keep] {
        let sent = page.response(connection, false);
        if sent.is_empty() {
            continue;
        }
        let mut head = ResponseHead::default();
        let length = parse::response(sent, parse::MAX_LINES, false, &mut head);
        let length = length.ok().flatten().expect("a page is an answer");
        let mut decoder = Decoder::new(head.framing, Sender::Server);
        let mut at = length;
        while !decoder.is_done() {
            match decoder.next(&sent[at..]).expect("a body") {
                Piece::Data { used, .. } => at += used,
                Piece::End { .. } => break,
                Piece::More => panic!("a page that does not end"),
            }
        }
        assert_eq!(at, sent.len(), "nothing is behind a page's end");
    }
}

fn lists(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(networks) = NetworkSet::parse(&text) {
        assert!(networks.is_empty() || networks.is_within(&networks));
    }
    let backends: [Arc<str>; 2] = ["app".into(), "web".into()];
    if let Ok(map) = Map::parse(&text, &backends) {
        let found = [map.host(b"a.example.test"), map.path(b"/path/x")];
        assert!(found.into_iter().flatten().all(|index| index < backends.len()));
    }
}

fn servers(bytes: &[u8]) {
    discovery::read_any(bytes, FileFormat::Json);
    discovery::read_any(bytes, FileFormat::Toml);
}

fn component(bytes: &[u8]) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new(None).expect("a runtime"));
    if let Err(error) = RUNTIME.load_bytes(bytes) {
        assert!(!error.to_string().is_empty());
    }
}

//! Whom a request is for: what the one grammar of targets and authorities accepts, everybody reads as the same host, port,
//! path and query; and neither rules nor redirects make anything else of it.

use std::sync::{Arc, LazyLock};

use hyper::http::uri::{self, Uri};

use super::Target;
use super::http::{MOST_LINES, request, shown};
use crate::config;
use crate::exchange;
use crate::http::head::RequestHead;
use crate::http::parse;
use crate::http::target::{self, Form};
use crate::rules::{Answered, Decision, Ending, Facts, RuleSet};

pub(super) const AUTHORITY: Target = Target::new(
    "authority",
    &[
        "\n",
        "/",
        "//",
        "*",
        "http://",
        "https://",
        "HTTP://",
        "ws://",
        "://",
        ":",
        ":/",
        "?",
        "?a=b",
        "&",
        "=",
        "#",
        "@",
        "user@",
        "user:pass@",
        ":80",
        ":443",
        ":080",
        ":0",
        ":65536",
        ":+80",
        ":99999999999999999999",
        "a.test",
        "A.TEST",
        "b.test",
        "a.test.",
        "a..test",
        ".",
        "..",
        "-",
        "_",
        "~",
        "%2f",
        "%",
        "%00",
        "[::1]",
        "[::ffff:1.2.3.4]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "[",
        "]",
        "1.2.3.4",
        "0x7f.1",
        "\\",
        "\"",
        "<",
        ">",
        "|",
        "^",
        "`",
        "{",
        "}",
        ",",
        ";",
        "!",
        "$",
        "'",
        "(",
        "+",
        " ",
        "\t",
        "/api",
        "/api/x",
        "/x/../y",
        "\u{0}",
        "\u{7f}",
        "é",
    ],
    authority,
)
.slow(2);

/// A target, and in the second line the host that a client names beside it; without one it speaks HTTP/1.0.
fn authority(text: &[u8]) {
    let mut parts = text.splitn(2, |byte| *byte == b'\n');
    let (target, host) = (parts.next().unwrap_or_default(), parts.next());
    is_one_host_and_port(target);
    if text.contains(&b'\r') || host.is_some_and(|host| host.contains(&b'\n')) {
        return;
    }
    for method in ["GET", "OPTIONS", "CONNECT"] {
        let lines = match host {
            Some(host) => [b" HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat(),
            None => b" HTTP/1.0\r\n\r\n".to_vec(),
        };
        let text = [method.as_bytes(), b" ", target, &lines].concat();
        let mut head = RequestHead::default();
        if parse::request(&text, MOST_LINES, &mut head) == Ok(Some(text.len())) {
            request(&text);
            is_read_by_others(&head);
            RULES.iter().for_each(|rules| leads_nowhere_else(&head, rules));
        }
    }
}

/// What is accepted as an authority is a host and perhaps a port for others, too, and the same ones.
fn is_one_host_and_port(text: &[u8]) {
    let Some(target::Authority { host, port }) = target::authority(text) else { return };
    let shown = shown(text);
    let (name, rest) = (std::str::from_utf8(&text[..host]).expect("ASCII"), &text[host..]);
    assert!(!name.contains(['@', '%', ',', '/', '\\', '?', '#', ' ']) && !name.is_empty(), "{shown}");
    assert!(!name.contains(':') || name.starts_with('['), "{shown}");
    assert!(rest.is_empty() || rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit), "{shown}");
    let written = port.map_or(name.to_owned(), |port| format!("{name}:{port}"));
    let again = target::authority(written.as_bytes());
    assert_eq!(again, Some(target::Authority { host, port }), "{shown}");
    assert!(target::same_authority(b"http", text, written.as_bytes()), "{shown}");
    let other = uri::Authority::try_from(text).unwrap_or_else(|_| panic!("{shown} is refused elsewhere"));
    assert_eq!((other.host(), other.port_u16()), (name, port), "{shown}");
}

/// What another reader finds in a target that was accepted, if it accepts it, is the same.
fn is_read_by_others(head: &RequestHead) {
    let shown = shown(head.target());
    let named = head.authority();
    assert!(named.is_empty() || target::authority(named).is_some(), "{shown}");
    let Ok(uri) = Uri::try_from(head.target()) else { return };
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    match head.form() {
        Form::Absolute | Form::Authority => assert_eq!(authority, Some(named), "{shown}"),
        Form::Origin | Form::Asterisk => assert_eq!(authority, None, "{shown}"),
    }
    let scheme = target::scheme(head.target()).filter(|_| head.form() == Form::Absolute);
    assert_eq!(uri.scheme_str().map(str::len), scheme, "{shown}");
    if head.form() != Form::Authority && head.path() != b"*" {
        assert_eq!(
            (uri.path().as_bytes(), uri.query().map(str::as_bytes)),
            (head.path(), head.query()),
            "{shown}"
        );
    }
}

/// Rules of which each set is tried alone.
static RULES: LazyLock<Vec<Arc<RuleSet>>> = LazyLock::new(|| {
    let sets = [
        "redirect = { prefix = \"/\" }",
        "redirect = { prefix = \"/\", append_slash = true, drop_query = true }",
        "redirect = { prefix = \"https://p.test\" }",
        "redirect = { scheme = \"https\" }",
        "redirect = { scheme = \"https\", append_slash = true }",
        "redirect = { location = \"${path}\" }",
        "redirect = { location = \"${url}\" }",
        "redirect = { location = \"https://p.test${url}\" }",
        "redirect = { location = \"https://${host}${url}\" }",
        "redirect = { location = \"https://${authority}${path}\" }",
        "rewrite_path = { prefix = \"/\", with = \"\" }",
        "rewrite_path = { prefix = \"/api\", with = \"\" }",
        "rewrite_path = { regex = \"^/api(.*)\", with = \"$1/x\" }\nset_query = \"from=${path}&${query}\"",
        "set_query = { regex = \"a\", with = \"\" }",
        "set_query = \"\"\nrequest = { set_header = { host = \"b.test\", x-was = \"${authority}\" } }",
        "request = { del_header = [\"host\"] }",
    ];
    let frontends = sets.iter().enumerate().map(|(number, set)| {
        format!(
            "[frontends.f{number}]\nbind = \"127.0.0.1:{}\"\ndefault_backend = \"app\"\n\
             [[frontends.f{number}.rules]]\n{set}\n",
            8_000 + number
        )
    });
    let backend = "[backends.app]\nservers = [{ name = \"a\", address = \"10.0.0.1:80\" }]\n";
    let text: String = frontends.chain([backend.to_owned()]).collect();
    let loaded = config::parse(&text, "lb.toml").unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.frontends.iter().map(|frontend| frontend.rules.clone()).collect()
});

/// A request is sent on, or answered with a redirect, to the host that it names or that rules name, and nowhere else.
fn leads_nowhere_else(head: &RequestHead, rules: &RuleSet) {
    let facts = Facts::new(head, None);
    let mut decision = Decision::default();
    rules.decide(&facts, &mut decision, |_| {});
    match decision.ending {
        Some(Ending::Redirect(redirect)) => stays(head, &redirect.answer(&facts)),
        _ => is_passed_on(head, decision),
    }
}

/// Where a redirect leads as browsers read it, for which `\` is `/`, and before a host as many of them as there are.
fn stays(head: &RequestHead, answered: &Answered) {
    let location = answered.headers.iter().find(|(name, _)| &**name == "location");
    let Some((_, location)) = location else { return assert_eq!(answered.status, 400) };
    let shown = shown(location);
    // `${path}` is nothing where there is none.
    if location.is_empty() && !head.has_path() {
        return;
    }
    assert!(location.iter().all(u8::is_ascii_graphic), "{shown}");
    let text = String::from_utf8_lossy(location).replace('\\', "/");
    match text.split_once("://") {
        Some(("http" | "https", rest)) if !text.starts_with('/') => {
            let rest = rest.trim_start_matches('/');
            let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
            let named = [head.host(), head.authority(), b"p.test"];
            assert!(!host.is_empty() && named.contains(&host.as_bytes()), "{shown}");
        }
        _ => assert!(text.starts_with('/') && !text.starts_with("//"), "{shown}"),
    }
}

/// A request with what rules make of it is read as the same one, for the host and the path that they say.
fn is_passed_on(head: &RequestHead, decision: Decision<'_>) {
    let target = decision.target.clone();
    let host = decision.request.iter().any(|edit| edit.name() == "host");
    let written = exchange::ruled_head(head, decision);
    let shown = shown(&written);
    let mut again = RequestHead::default();
    let read = parse::written_request(&written, MOST_LINES, &mut again);
    assert_eq!(read, Ok(Some(written.len())), "{shown}");
    assert_eq!((again.method(), again.framing), (head.method(), head.framing), "{shown}");
    assert!(!again.target().is_empty(), "{shown}");
    if host {
        assert!(again.form() != Form::Absolute, "{shown}");
        if head.form() != Form::Authority {
            assert!(matches!(again.authority(), b"b.test" | b""), "{shown}");
        }
    } else {
        assert_eq!((again.authority(), again.form()), (head.authority(), head.form()), "{shown}");
        assert_eq!(again.target(), target.as_deref().unwrap_or(head.target()), "{shown}");
    }
    assert_eq!(again.has_path(), head.has_path(), "{shown}");
}

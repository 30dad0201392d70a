//! The request as the server gets it: the client's head, less what ends at this hop, with the edits of
//! persistence and rules, and the client's address.

use std::borrow::Cow;
use std::net::IpAddr;

use super::edits::{self, Edits};
use crate::config::model::ForwardFor;
use crate::http::cookies;
use crate::http::head::{Field, Known, RequestHead, Version, write_line};
use crate::http::semantics::tokens;
use crate::http::{names, target, upgrade};
use crate::policy::{Key, KeyEdit};
use crate::rules::Network;

/// What the host changes in a request.
pub(super) struct Changes<'a> {
    /// Where persistence has its key, and what becomes of it: `Remove` cuts out every key of the name, `Replace`
    /// changes the one that was recalled, by its number among them.
    pub(super) key: Option<(&'a Key, &'a KeyEdit, usize)>,
    /// Whether, and how, the server is told the client's address: as the frontend says, and as the backend.
    pub(super) forwardfor: [Option<&'a ForwardFor>; 2],
    /// The client's address; `None` on a Unix socket.
    pub(super) client: Option<IpAddr>,
    /// What rules change.
    pub(super) edits: &'a Edits,
}

/// Writes the head for the server.
pub(super) fn write(head: &RequestHead, changes: &Changes<'_>, out: &mut Vec<u8>) {
    let key = changes.key.filter(|(_, edit, _)| **edit != KeyEdit::Keep);
    // Keys of the name that stand before the one at hand.
    let mut before = 0;
    let edits = &changes.edits.request[..];
    let target = changes.edits.target.as_deref().unwrap_or(head.target());
    let target = if edits::names(edits).any(|name| name.eq_ignore_ascii_case("host")) {
        &*without_authority(head, target)
    } else {
        target
    };
    out.extend_from_slice(head.method());
    out.push(b' ');
    match key {
        Some((Key::Query(name), edit, _)) => write_query(target, name.as_bytes(), edit, out),
        _ => out.extend_from_slice(target),
    }
    out.extend_from_slice(if head.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    // Connection says once what this hop is asked for, and names nothing that is not there.
    let mut asked = false;
    let unusual = head.lines().has_unusual_names();
    for line in head.lines().iter() {
        let Field { name, value, known, .. } = line;
        match known {
            _ if unusual && passes_for_ours(name, changes) => {}
            Known::Connection if head.upgrade => {
                if let Some(token) = upgrade_token(value).filter(|_| !asked) {
                    asked = true;
                    write_line(name, token, out);
                }
            }
            Known::Upgrade if head.upgrade => {
                if let Some(protocols) = upgrade::passable_list(value) {
                    write_line(name, &protocols, out);
                }
            }
            Known::Connection | Known::Upgrade | Known::KeepAlive | Known::ProxyConnection => {}
            Known::Http2Settings => {}
            Known::Te => {
                if !asked && wants_trailers(head, value) {
                    asked = true;
                    out.extend_from_slice(b"te: trailers\r\nconnection: TE\r\n");
                }
            }
            _ if head.nominates && head.lines().nominated(name, known) => {}
            _ if edits::drops(edits, name) => {}
            Known::Cookie => match key {
                Some((Key::Cookie(cookie), edit, number)) => {
                    write_cookies(value, cookie.as_bytes(), edit, number, &mut before, out);
                }
                _ => line.write(out),
            },
            _ => match key {
                Some((Key::Header(header), edit, _)) if name.eq_ignore_ascii_case(header.as_bytes()) => {
                    // The first line of the name is the one that was recalled.
                    match edit {
                        KeyEdit::Replace(new) if before == 0 => write_line(name, new.as_bytes(), out),
                        KeyEdit::Remove => {}
                        _ => line.write(out),
                    }
                    before += 1;
                }
                _ => line.write(out),
            },
        }
    }
    edits::write_added(edits, out);
    if let Some(client) = changes.client {
        write_forwardfor(head, changes.forwardfor, client, out);
    }
    if head.version == Version::Http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether servers may take a client's line for one that this program writes, or that rules take away.
fn passes_for_ours(name: &[u8], changes: &Changes<'_>) -> bool {
    let is_like = |other: &[u8]| names::passes_for(name, other);
    !names::is_plain(name)
        && (changes.forwardfor.into_iter().flatten().any(|line| is_like(line.header.as_bytes()))
            || edits::names(&changes.edits.request).any(|edited| is_like(edited.as_bytes())))
}

/// A target without scheme and authority: beside those, a host that rules have chosen would count for some servers, and
/// for others not (RFC 9112, section 3.2.2).
fn without_authority<'t>(head: &RequestHead, target: &'t [u8]) -> Cow<'t, [u8]> {
    let Some(path) = target::path_of(target).map(|path| &target[path.start..]) else { return target.into() };
    match path.first() {
        Some(b'/') => path.into(),
        None if !head.has_path() => b"*".into(),
        // A URL without a path, but perhaps with a query.
        _ => [b"/", path].concat().into(),
    }
}

/// Whether a TE line says that trailers are understood. Beside an upgrade, to which servers expect no other token in
/// Connection, that goes unsaid.
fn wants_trailers(head: &RequestHead, value: &[u8]) -> bool {
    head.version == Version::Http11
        && !head.upgrade
        && tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// What a Connection line of an upgrade says on the next hop: of the sender's tokens the one that asks for it, as it is spelt.
pub(super) fn upgrade_token(value: &[u8]) -> Option<&[u8]> {
    tokens(value).find(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

/// Writes a Cookie line with the key's cookies changed; no line at all where nothing is left.
fn write_cookies(
    line: &[u8],
    cookie: &[u8],
    edit: &KeyEdit,
    number: usize,
    before: &mut usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(b"cookie: ");
    let from = out.len();
    let count = cookies::pairs(line).filter(|pair| pair.name == cookie).count();
    match edit {
        KeyEdit::Remove if count > 0 => cookies::cut(line, cookie, out),
        KeyEdit::Replace(new) => {
            // The one that was recalled, where it is in this line.
            let pair = number
                .checked_sub(*before)
                .and_then(|number| cookies::pairs(line).filter(|pair| pair.name == cookie).nth(number));
            let (head, tail) = pair.map_or((line, &[][..]), |pair| (&line[..pair.start], &line[pair.end..]));
            out.extend_from_slice(head);
            if pair.is_some() {
                out.extend_from_slice(cookie);
                out.push(b'=');
                out.extend_from_slice(new.as_bytes());
            }
            out.extend_from_slice(tail);
        }
        _ => out.extend_from_slice(line),
    }
    *before += count;
    if out.len() == from && count > 0 {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a target with one query parameter cut out or replaced.
fn write_query(target: &[u8], name: &[u8], edit: &KeyEdit, out: &mut Vec<u8>) {
    let Some(mark) = memchr::memchr(b'?', target) else { return out.extend_from_slice(target) };
    out.extend_from_slice(&target[..mark]);
    let (mut separator, mut replaced) = (b'?', false);
    for parameter in target[mark + 1..].split(|b| *b == b'&') {
        let equals = memchr::memchr(b'=', parameter);
        let ours = &parameter[..equals.unwrap_or(parameter.len())] == name;
        if ours && *edit == KeyEdit::Remove {
            continue;
        }
        out.push(separator);
        separator = b'&';
        match edit {
            // The one that was recalled: the first that has a value.
            KeyEdit::Replace(value) if ours && equals.is_some() && !replaced => {
                replaced = true;
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(value.as_bytes());
            }
            _ => out.extend_from_slice(parameter),
        }
    }
    // A URL without a path means `/`, but in OPTIONS only as long as it has a query.
    if separator == b'?' && target::path_of(target).is_some_and(|path| path.is_empty()) {
        out.push(b'/');
    }
}

/// Writes one line, whoever of frontend and backend wants it. Where both do, the backend names the header, the
/// exceptions of both count, and it is left out for one that is there only if both say so.
fn write_forwardfor(
    head: &RequestHead,
    forwardfor: [Option<&ForwardFor>; 2],
    client: IpAddr,
    out: &mut Vec<u8>,
) {
    let mut wanted = forwardfor.into_iter().flatten();
    let Some(last) = wanted.clone().last() else { return };
    let header = last.header.as_bytes();
    if wanted.clone().any(|one| one.except.iter().any(|network| contains(network, client)))
        || (wanted.all(|one| one.if_none) && head.lines().header(header).is_some())
    {
        return;
    }
    out.extend_from_slice(header);
    out.extend_from_slice(b": ");
    write_address(client, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes an IP address; IPv4 ones by hand, for they go into nearly every request.
fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    use std::io::Write;
    match address {
        IpAddr::V4(address) => {
            let mut digits = itoa::Buffer::new();
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(digits.format(octet).as_bytes());
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Whether an address is in a network.
fn contains(network: &Network, address: IpAddr) -> bool {
    let (ours, theirs, bits) = match (network.address, address) {
        (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
            (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
        }
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
        _ => return false,
    };
    let shift = bits - u32::from(network.prefix).min(bits);
    // A prefix of no bits would shift by all of them.
    shift == 128 || ours >> shift == theirs >> shift
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::parse;

    fn written(request: &str, changes: &Changes<'_>) -> String {
        let mut head = RequestHead::default();
        parse::written_request(request.as_bytes(), 101, &mut head).unwrap().unwrap();
        let mut out = Vec::new();
        write(&head, changes, &mut out);
        String::from_utf8(out).unwrap()
    }

    const PLAIN: Changes<'static> = Changes {
        key: None,
        forwardfor: [None; 2],
        client: None,
        edits: &Edits { request: Vec::new(), response: Vec::new(), target: None },
    };

    fn with_cookie(line: &str, edit: KeyEdit) -> String {
        let key = Key::Cookie("SERVER".into());
        let changes = Changes { key: Some((&key, &edit, 0)), ..PLAIN };
        let text = written(&format!("GET / HTTP/1.1\r\nCookie: {line}\r\n\r\n"), &changes);
        text.strip_prefix("GET / HTTP/1.1\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned()
    }

    #[test]
    fn what_ends_at_this_hop_does_not_go_on() {
        let text = written(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n\
             Proxy-Connection: close\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n",
            &PLAIN,
        );
        assert_eq!(text, "GET / HTTP/1.1\r\nhost: x\r\naccept: */*\r\n\r\n");
    }

    #[test]
    fn a_line_goes_on_tidy_however_it_came() {
        let text =
            written("GET / HTTP/1.1\r\nHost: x\r\nA-B:c\r\nD:  e \r\nF:\r\nG: \r\nH: i\r\n\r\n", &PLAIN);
        assert_eq!(text, "GET / HTTP/1.1\r\nhost: x\r\na-b: c\r\nd: e\r\nf: \r\ng: \r\nh: i\r\n\r\n");
    }

    #[test]
    fn an_upgrade_goes_on_and_one_to_clear_text_http2_does_not() {
        let text = written(
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: keep-alive, upgrade\r\n\r\n",
            &PLAIN,
        );
        assert_eq!(text, "GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
        let text = written(
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
            &PLAIN,
        );
        assert_eq!(text, "GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn a_connection_line_cannot_take_away_what_delimits_or_names() {
        let request =
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: host, content-length\r\n\r\n";
        assert_eq!(written(request, &PLAIN), "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n");
    }

    #[test]
    fn only_the_key_is_cut_out_of_the_cookies() {
        assert_eq!(with_cookie("SERVER=a", KeyEdit::Remove), "");
        assert_eq!(with_cookie("SERVER=a; b=c", KeyEdit::Remove), "cookie: b=c\r\n");
        assert_eq!(with_cookie("b=c; SERVER=a", KeyEdit::Remove), "cookie: b=c\r\n");
        assert_eq!(with_cookie("b=c; SERVER=a; d=e", KeyEdit::Remove), "cookie: b=c; d=e\r\n");
        assert_eq!(with_cookie("b=c;SERVER=a;d=e", KeyEdit::Remove), "cookie: b=c; d=e\r\n");
        assert_eq!(with_cookie("b=c, SERVER=a, d=e", KeyEdit::Remove), "cookie: b=c, d=e\r\n");
        assert_eq!(with_cookie("SERVER=a; b=c; SERVER=x", KeyEdit::Remove), "cookie: b=c\r\n");
        assert_eq!(with_cookie("SERVER=a; SERVER=x", KeyEdit::Remove), "");
        assert_eq!(with_cookie("b=c;d=e", KeyEdit::Remove), "cookie: b=c;d=e\r\n");
        assert_eq!(with_cookie("SERVER=a~b; d=e", KeyEdit::Replace("b".into())), "cookie: SERVER=b; d=e\r\n");
        assert_eq!(with_cookie("XSERVER=a", KeyEdit::Remove), "cookie: XSERVER=a\r\n");
        assert_eq!(with_cookie("", KeyEdit::Remove), "cookie: \r\n");
    }

    #[test]
    fn a_query_parameter_is_cut_out_or_replaced() {
        let key = Key::Query("s".into());
        let target = |query: &str, edit: KeyEdit| {
            let changes = Changes { key: Some((&key, &edit, 0)), ..PLAIN };
            let line = written(&format!("GET /?{query} HTTP/1.1\r\n\r\n"), &changes);
            line.strip_suffix(" HTTP/1.1\r\n\r\n").unwrap().to_owned()
        };
        let replace = || KeyEdit::Replace("9".into());
        assert_eq!(target("a=1&s=2&s=3", replace()), "GET /?a=1&s=9&s=3");
        assert_eq!(target("s&s=2", replace()), "GET /?s&s=9", "the one that was recalled has a value");
        assert_eq!(target("a=1&s=2&ss=3", KeyEdit::Remove), "GET /?a=1&ss=3");
        assert_eq!(target("s&a=1&s=2&s=3", KeyEdit::Remove), "GET /?a=1", "with any others of its name");
        assert_eq!(target("s=2", KeyEdit::Remove), "GET /");
        let changes = Changes { key: Some((&key, &KeyEdit::Remove, 0)), ..PLAIN };
        let options = written("OPTIONS http://a?s=2 HTTP/1.0\r\n\r\n", &changes);
        assert!(
            options.starts_with("OPTIONS http://a/ HTTP/1.0\r\n"),
            "without both it asks for the server itself"
        );
    }

    #[test]
    fn the_clients_address_is_a_line_of_its_own() {
        let network = Network { address: "10.0.0.0".parse().unwrap(), prefix: 8 };
        let forwardfor =
            ForwardFor { except: vec![network], header: "x-forwarded-for".into(), if_none: false };
        let for_client = |client: &str, forwardfor: &ForwardFor| {
            let changes =
                Changes { forwardfor: [Some(forwardfor), None], client: client.parse().ok(), ..PLAIN };
            written("GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", &changes)
        };
        let start = "GET / HTTP/1.1\r\nx-forwarded-for: 1.1.1.1\r\n";
        assert_eq!(
            for_client("192.0.2.7", &forwardfor),
            format!("{start}x-forwarded-for: 192.0.2.7\r\n\r\n")
        );
        assert_eq!(
            for_client("2001:db8::7", &forwardfor),
            format!("{start}x-forwarded-for: 2001:db8::7\r\n\r\n")
        );
        assert_eq!(for_client("10.9.8.7", &forwardfor), format!("{start}\r\n"));
        assert_eq!(
            for_client("192.0.2.7", &ForwardFor { if_none: true, ..forwardfor }),
            format!("{start}\r\n")
        );
    }

    #[test]
    fn frontend_and_backend_add_one_line_between_them() {
        let network = |address: &str| Network { address: address.parse().unwrap(), prefix: 32 };
        let frontend = ForwardFor { except: vec![network("10.0.0.1")], header: "x-a".into(), if_none: true };
        let backend = ForwardFor { except: vec![network("10.0.0.2")], header: "x-b".into(), if_none: false };
        let lines = |backend: &ForwardFor, client: &str| {
            let both = [Some(&frontend), Some(backend)];
            let changes = Changes { forwardfor: both, client: client.parse().ok(), ..PLAIN };
            let text = written("GET / HTTP/1.1\r\nX-B: 1\r\n\r\n", &changes);
            text.strip_prefix("GET / HTTP/1.1\r\nx-b: 1\r\n").unwrap().to_owned()
        };
        assert_eq!(lines(&backend, "10.0.0.3"), "x-b: 10.0.0.3\r\n\r\n");
        assert_eq!(lines(&backend, "10.0.0.1"), "\r\n");
        assert_eq!(lines(&backend, "10.0.0.2"), "\r\n");
        assert_eq!(lines(&ForwardFor { if_none: true, ..backend }, "10.0.0.3"), "\r\n");
    }

    proptest! {
        #[test]
        fn what_is_let_in_and_written_means_the_same_to_the_next_reader(
            method in "GET|OPTIONS|CONNECT|POST",
            target in "((http|HTTPS|a1|1a|a\\?)(://|:/)|)(u@|)([a-b_.]{0,3}|\\[::1\\])(:[0-9]{0,3}|)(/|)[a/.\"<*]{0,3}(\\?[a=?&/]{0,3}|)",
            host in "|[a-b_.]{0,3}(:|:80|:443|)|a@b|a,b|\\[::1\\]",
            version in 0..2,
        ) {
            let line = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
            let request = format!("{method} {target} HTTP/1.{version}\r\n{line}X-A: 1\r\n\r\n");
            let mut head = RequestHead::default();
            if let Ok(Some(_)) = parse::request(request.as_bytes(), 101, &mut head) {
                let mut out = Vec::new();
                write(&head, &PLAIN, &mut out);
                let mut read = RequestHead::default();
                prop_assert_eq!(parse::request(&out, 101, &mut read), Ok(Some(out.len())));
                prop_assert_eq!((head.method(), head.target(), head.form()), (read.method(), read.target(), read.form()));
                prop_assert_eq!((head.authority(), head.host()), (read.authority(), read.host()));
                prop_assert_eq!((head.path(), head.query()), (read.path(), read.query()));
                prop_assert!(head.version == Version::Http10 || !head.host().is_empty());
            }
        }
    }

    #[test]
    fn a_host_that_rules_choose_is_the_only_one() {
        let edits = |target: Option<&str>| Edits {
            request: vec![edits::LineEdit::Set("host".into(), b"inner".to_vec())],
            target: target.map(|target| target.into()),
            ..Edits::default()
        };
        for (line, changed, expected) in [
            ("GET http://x/a?b", None, "GET /a?b"),
            ("GET http://x?b", None, "GET /?b"),
            ("GET http://x/a", Some("http://x/c"), "GET /c"),
            ("OPTIONS http://x", None, "OPTIONS *"),
            ("OPTIONS *", None, "OPTIONS *"),
            ("GET //x/a", None, "GET //x/a"),
        ] {
            let edits = edits(changed);
            let text =
                written(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"), &Changes { edits: &edits, ..PLAIN });
            assert_eq!(text, format!("{expected} HTTP/1.1\r\nhost: inner\r\n\r\n"));
        }
    }

    #[test]
    fn a_line_that_passes_for_one_of_ours_does_not_go_on() {
        let forwardfor = ForwardFor { except: Vec::new(), header: "x-forwarded-for".into(), if_none: false };
        let edits = Edits {
            request: vec![
                edits::LineEdit::Set("x-user".into(), b"u".to_vec()),
                edits::LineEdit::Remove("x_own".into()),
            ],
            ..Edits::default()
        };
        let changes = Changes {
            forwardfor: [Some(&forwardfor), None],
            client: "192.0.2.7".parse().ok(),
            edits: &edits,
            ..PLAIN
        };
        let request = "GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: 1\r\nX_User: 2\r\nX_Own: 3\r\nX-Own: 4\r\n\
                       X_Other: 5\r\n\r\n";
        let expected = "GET / HTTP/1.1\r\nhost: x\r\nx-own: 4\r\nx_other: 5\r\nx-user: u\r\n\
                        x-forwarded-for: 192.0.2.7\r\n\r\n";
        assert_eq!(written(request, &changes), expected);
    }

    #[test]
    fn rules_change_the_target_and_the_lines() {
        let edits = Edits {
            request: vec![
                edits::LineEdit::Set("x-a".into(), b"new".to_vec()),
                edits::LineEdit::Remove("x-b".into()),
            ],
            target: Some(b"/inner?q=1".to_vec()),
            ..Edits::default()
        };
        let text =
            written("GET /outer HTTP/1.1\r\nX-A: old\r\nX-B: 1\r\n\r\n", &Changes { edits: &edits, ..PLAIN });
        assert_eq!(text, "GET /inner?q=1 HTTP/1.1\r\nx-a: new\r\n\r\n");
    }

    #[test]
    fn an_http10_request_stays_one_and_keeps_the_connection() {
        assert_eq!(
            written("GET / HTTP/1.0\r\n\r\n", &PLAIN),
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
        );
    }
}

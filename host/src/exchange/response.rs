//! The response as the client gets it: the server's head, less what ends at this hop, with the amendment of
//! persistence.

use super::edits::{self, Edit, Line, LineEdit};
use super::request::upgrade_token;
use crate::http::head::{Field, Framing, HeadSink, Known, RequestHead, ResponseHead, Version};
use crate::http::semantics::tokens;
use crate::http::upgrade;
use crate::policy::{Amendment, HeaderEdit, Key, KeyEdit};

/// How a response goes to the client.
pub(super) struct Shape {
    /// Whether the body's chunks are taken apart, for a client that knows none.
    pub(super) dechunk: bool,
    /// Whether the connection to the client stays.
    pub(super) keep_alive: bool,
    /// Whether this answers an upgrade that the client asked for.
    pub(super) switching: bool,
    /// What is added to the cookies that persistence inserts.
    pub(super) cookie_attributes: &'static [u8],
}

/// Writes the head for a client that speaks `client`.
pub(super) fn write(
    head: &ResponseHead,
    client: Version,
    shape: &Shape,
    amendment: Option<(&Key, &Amendment)>,
    edits: &[LineEdit],
    out: &mut (impl HeadSink + ?Sized),
) {
    out.status(head);
    let no_body = head.status == 204 || head.status < 200;
    let chunked = head.framing == Framing::Chunked;
    // A 426 has to say what it wants instead (RFC 9110, section 15.5.22).
    let offers = head.status == 426 && offers_upgrade(head);
    let upgrades = shape.switching || offers;
    let (mut length_written, mut edited, mut named) = (false, false, false);
    // The policy's, and then those of rules, which find what it has made of the response.
    let headers = amendment.map_or(&[][..], |(_, amendment)| &amendment.headers);
    let changed = !headers.is_empty() || !edits.is_empty();
    let changes = || {
        let policy = headers.iter().map(|edit| policy_edit(edit, shape.cookie_attributes));
        policy.chain(edits.iter().map(Edit::from))
    };
    for line in head.lines().iter() {
        let Field { name, value, known, .. } = line;
        match known {
            Known::Connection if upgrades => {
                if let Some(token) = upgrade_token(value).filter(|_| !named) {
                    named = true;
                    out.field(name, known, [token, b""]);
                }
            }
            Known::Upgrade if upgrades => {
                if let Some(protocols) = upgrade::passable_list(value) {
                    out.field(name, known, [&protocols, b""]);
                }
            }
            Known::Connection | Known::Upgrade | Known::KeepAlive | Known::ProxyConnection | Known::Te => {}
            Known::ContentLength if no_body || chunked || length_written => {}
            Known::ContentLength => {
                length_written = true;
                match memchr::memchr(b',', value) {
                    None => out.line(&line),
                    // A list of one length over and over is that length (RFC 9110, section 8.6).
                    Some(_) => out.field(name, known, [tokens(value).next().unwrap_or(value), b""]),
                }
            }
            Known::TransferEncoding if no_body || shape.dechunk => {}
            _ if head.nominates && head.lines().nominated(name, known) => {}
            _ if changed && edits::drops(changes(), name) => {}
            _ => match amendment {
                Some((key, amendment)) => edited |= write_amended(&line, edited, key, amendment, out),
                None => out.line(&line),
            },
        }
    }
    edits::write_added(changes(), out);
    let mut connection = |token: &[u8]| out.field(b"connection", Known::Connection, [token, b""]);
    if offers && !named {
        connection(b"upgrade");
    }
    match (shape.keep_alive, head.version) {
        (true, Version::Http10) => connection(b"keep-alive"),
        (true, Version::Http11) if client == Version::Http10 => connection(b"keep-alive"),
        (false, Version::Http11) => connection(b"close"),
        _ => {}
    }
    out.end();
}

/// Writes the head of an interim response, such as 100 or 103, as it is.
pub(super) fn write_interim(head: &ResponseHead, out: &mut (impl HeadSink + ?Sized)) {
    out.status(head);
    for line in head.lines().iter() {
        let ends_here = match line.known {
            Known::ContentLength | Known::TransferEncoding => true,
            Known::Connection | Known::Upgrade | Known::KeepAlive | Known::ProxyConnection | Known::Te => {
                true
            }
            known => head.nominates && head.lines().nominated(line.name, known),
        };
        if !ends_here {
            out.line(&line);
        }
    }
    out.end();
}

fn offers_upgrade(head: &ResponseHead) -> bool {
    head.lines().known(Known::Upgrade).any(|value| upgrade::passable(value).next().is_some())
}

/// The value of the key that the server itself sent.
pub(super) fn sent_key<'a>(head: &'a ResponseHead, key: &Key) -> Option<&'a [u8]> {
    match key {
        Key::Cookie(name) => {
            head.lines().known(Known::SetCookie).find_map(|line| set_cookie_value(line, name))
        }
        Key::Header(name) => head.lines().header(name.as_bytes()),
        Key::Query(_) => None,
    }
}

/// Writes a line with the key in it as the amendment wants that; answers whether it held the key.
fn write_amended(
    line: &Field<'_>,
    edited: bool,
    key: &Key,
    amendment: &Amendment,
    out: &mut (impl HeadSink + ?Sized),
) -> bool {
    let Field { name, value, known, .. } = *line;
    // A key that is cut out goes with all others of its name; put in place of it is the first.
    let is_key = !(edited && amendment.key != KeyEdit::Remove)
        && amendment.key != KeyEdit::Keep
        && match key {
            Key::Cookie(cookie) => known == Known::SetCookie && set_cookie_value(value, cookie).is_some(),
            Key::Header(header) => name.eq_ignore_ascii_case(header.as_bytes()),
            Key::Query(_) => false,
        };
    if is_key {
        match (&amendment.key, key) {
            (KeyEdit::Replace(new), Key::Cookie(cookie)) => {
                let attributes = &value[memchr::memchr(b';', value).unwrap_or(value.len())..];
                out.field(name, known, [&[cookie.as_bytes(), b"=", new.as_bytes()].concat(), attributes]);
            }
            (KeyEdit::Replace(new), _) => out.field(name, known, [new.as_bytes(), b""]),
            _ => {}
        }
        return true;
    }
    out.line(line);
    false
}

/// A policy's edit. Cookies that it sets get these attributes.
fn policy_edit<'a>(edit: &'a HeaderEdit, cookie_attributes: &'a [u8]) -> Edit<'a> {
    let line = |name: &'a str, value: &'a str| {
        let attributes = if name == "set-cookie" { cookie_attributes } else { b"" };
        Line { name, value: [value.as_bytes(), attributes] }
    };
    match edit {
        HeaderEdit::Append { name, value } => Edit::Add(line(name, value)),
        HeaderEdit::Set { name, value } => Edit::Set(line(name, value)),
        HeaderEdit::Remove(name) => Edit::Remove(name),
    }
}

/// Whether the policy's edits leave a cookie that they set.
pub(super) fn sets_cookie(amendment: &Amendment) -> bool {
    let mut edits = amendment.headers.iter();
    while let Some(edit) = edits.next() {
        let rest = edits.clone().map(|edit| policy_edit(edit, b""));
        if let HeaderEdit::Append { name, .. } | HeaderEdit::Set { name, .. } = edit
            && name == "set-cookie"
            && !edits::drops(rest, name.as_bytes())
        {
            return true;
        }
    }
    false
}

/// The value of a Set-Cookie line, where it sets the cookie of this name.
fn set_cookie_value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let pair = &line[..memchr::memchr(b';', line).unwrap_or(line.len())];
    let equals = memchr::memchr(b'=', pair)?;
    (pair[..equals].trim_ascii() == name.as_bytes()).then(|| pair[equals + 1..].trim_ascii())
}

/// Whether a shared cache may store the response: what `nocache` goes by. See the configuration manual of
/// HAProxy, keyword `cookie`, and RFC 9111, section 3.
pub(super) fn is_cacheable(request: &RequestHead, head: &ResponseHead) -> bool {
    if !matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
        || !matches!(head.status, 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501)
    {
        return false;
    }
    let mut caching = Caching::default();
    for Field { value, known, .. } in head.lines().iter() {
        match known {
            Known::CacheControl => caching.read(value),
            Known::Pragma => caching.pragma |= value.eq_ignore_ascii_case(b"no-cache"),
            Known::Expires | Known::ETag | Known::LastModified => caching.reason = true,
            _ => {}
        }
    }
    caching.reason && !caching.forbidden && !caching.pragma
}

/// What a response's headers say of caching, so far. The last word of Cache-Control counts.
#[derive(Default)]
struct Caching {
    forbidden: bool,
    pragma: bool,
    /// A freshness or a validator: without either, nothing is stored.
    reason: bool,
}

impl Caching {
    fn read(&mut self, value: &[u8]) {
        for token in tokens(value) {
            let token = token.to_ascii_lowercase();
            match &token[..] {
                b"public" => self.forbidden = false,
                b"private" | b"no-cache" | b"no-store" | b"s-maxage=0" | b"max-age=0" => {
                    self.forbidden = true
                }
                text if text.starts_with(b"max-age=") || text.starts_with(b"s-maxage=") => self.reason = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;

    fn head(text: &str) -> ResponseHead {
        let mut head = ResponseHead::default();
        parse::response(text.as_bytes(), 101, false, &mut head).unwrap().unwrap();
        head
    }

    const KEPT: Shape = Shape { dechunk: false, keep_alive: true, switching: false, cookie_attributes: b"" };

    fn written(text: &str, shape: &Shape, amendment: Option<(&Key, &Amendment)>) -> String {
        let mut out = Vec::new();
        write(&head(text), Version::Http11, shape, amendment, &[], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rules_have_the_last_word_on_the_lines() {
        let mut out = Vec::new();
        let edits = [LineEdit::Set("server".into(), b"lb".to_vec()), LineEdit::Remove("x-b".into())];
        let shape = Shape { dechunk: false, keep_alive: true, switching: false, cookie_attributes: b"" };
        let text = "HTTP/1.1 204 No Content\r\nServer: x\r\nX-B: 1\r\nX-C: 2\r\n\r\n";
        write(&head(text), Version::Http11, &shape, None, &edits, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "HTTP/1.1 204 No Content\r\nx-c: 2\r\nserver: lb\r\n\r\n");
    }

    #[test]
    fn what_ends_at_this_hop_does_not_go_on() {
        let text = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\n\
                    Content-Length: 3, 3\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(written(text, &KEPT, None), "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
        let closing = Shape { keep_alive: false, ..KEPT };
        assert!(written(text, &closing, None).ends_with("content-length: 3\r\nconnection: close\r\n\r\n"));
    }

    #[test]
    fn bare_line_feeds_of_a_server_do_not_go_on() {
        let text = "HTTP/1.1 200 OK\nContent-Length: 3\nX-A: 1\nX-B: 2\r\n\r\n";
        let tidy = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-a: 1\r\nx-b: 2\r\n\r\n";
        assert_eq!(written(text, &KEPT, None), tidy);
    }

    #[test]
    fn a_length_beside_chunks_or_without_a_body_does_not_go_on() {
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(written(both, &KEPT, None), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let none = "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(written(none, &KEPT, None), "HTTP/1.1 204 No Content\r\n\r\n");
        assert!(
            written("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", &KEPT, None)
                .contains("length: 3")
        );
    }

    #[test]
    fn an_amendment_is_made_to_the_key_and_to_other_lines() {
        let key = Key::Cookie("S".into());
        let text = "HTTP/1.1 200 OK\r\nSet-Cookie: S=1; path=/x\r\nSet-Cookie: T=2\r\nX-A: 1\r\nX-B: 2\r\n\
                    Set-Cookie2: S=1\r\n\r\n";
        let amendment = Amendment {
            key: KeyEdit::Replace("a~1".into()),
            headers: vec![
                HeaderEdit::Append { name: "x-c".into(), value: "3".into() },
                HeaderEdit::Set { name: "x-a".into(), value: "9".into() },
                HeaderEdit::Remove("x-b".into()),
            ],
        };
        assert_eq!(
            written(text, &KEPT, Some((&key, &amendment))),
            "HTTP/1.1 200 OK\r\nset-cookie: S=a~1; path=/x\r\nset-cookie: T=2\r\nset-cookie2: S=1\r\n\
             x-c: 3\r\nx-a: 9\r\n\r\n"
        );
        let amendment = Amendment { key: KeyEdit::Replace("9".into()), headers: vec![remove("set-cookie")] };
        assert!(
            !written(text, &KEPT, Some((&key, &amendment))).contains("set-cookie:"),
            "edits come after the key"
        );
        let amendment = Amendment { key: KeyEdit::Remove, headers: vec![] };
        assert!(!written(text, &KEPT, Some((&key, &amendment))).contains("S=1"));
        assert_eq!(sent_key(&head(text), &key), Some(&b"1"[..]));
    }

    fn set(name: &str, value: &str) -> HeaderEdit {
        HeaderEdit::Set { name: name.into(), value: value.into() }
    }

    fn append(name: &str, value: &str) -> HeaderEdit {
        HeaderEdit::Append { name: name.into(), value: value.into() }
    }

    fn remove(name: &str) -> HeaderEdit {
        HeaderEdit::Remove(name.into())
    }

    #[test]
    fn a_policys_edits_count_in_their_order_and_those_of_rules_after_them() {
        let key = Key::Cookie("S".into());
        let lines = |headers: Vec<HeaderEdit>, rules: &[LineEdit]| {
            let (mut out, key_edit) = (Vec::new(), KeyEdit::Keep);
            let amendment = Amendment { key: key_edit, headers };
            let head = head("HTTP/1.1 204 X\r\nX: 0\r\n\r\n");
            write(&head, Version::Http11, &KEPT, Some((&key, &amendment)), rules, &mut out);
            String::from_utf8(out).unwrap().replace("HTTP/1.1 204 X\r\n", "").replace("\r\n", ";")
        };
        assert_eq!(lines(vec![set("x", "1"), set("x", "2")], &[]), "x: 2;;");
        assert_eq!(lines(vec![append("x", "1"), remove("x")], &[]), ";");
        assert_eq!(lines(vec![remove("x"), append("x", "1")], &[]), "x: 1;;");
        assert_eq!(lines(vec![append("x", "1"), set("x", "2"), append("x", "3")], &[]), "x: 2;x: 3;;");
        assert_eq!(lines(vec![append("x", "1"), append("y", "2"), remove("y")], &[]), "x: 0;x: 1;;");
        let rule_removes = [LineEdit::Remove("x".into())];
        assert_eq!(lines(vec![append("x", "1"), set("y", "2")], &rule_removes), "y: 2;;");
        let rule_sets = [LineEdit::Set("x".into(), b"rule".to_vec())];
        assert_eq!(lines(vec![set("x", "1")], &rule_sets), "x: rule;;");
        let rule_adds = [LineEdit::Add("x".into(), b"rule".to_vec())];
        assert_eq!(lines(vec![set("x", "1")], &rule_adds), "x: 1;x: rule;;");
    }

    #[test]
    fn a_cookie_that_is_taken_back_was_not_set() {
        let sets = |headers| sets_cookie(&Amendment { key: KeyEdit::Keep, headers });
        assert!(sets(vec![append("set-cookie", "a=1"), remove("x")]));
        assert!(sets(vec![remove("set-cookie"), set("set-cookie", "a=1")]));
        assert!(!sets(vec![append("set-cookie", "a=1"), remove("set-cookie")]));
        assert!(!sets(vec![append("x", "a=1")]));
    }

    #[test]
    fn cacheable_is_what_a_shared_cache_may_store() {
        let mut request = RequestHead::default();
        parse::request(b"GET / HTTP/1.0\r\n\r\n", 101, &mut request).unwrap().unwrap();
        let cacheable =
            |lines: &str| is_cacheable(&request, &head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")));
        for lines in [
            "ETag: \"x\"\r\n",
            "Last-Modified: x\r\n",
            "Cache-Control: max-age=5\r\n",
            "Expires: x\r\n",
            "Cache-Control: no-cache, public\r\nETag: x\r\n",
            "Cache-Control: no-cache=\"set-cookie\"\r\nETag: x\r\n",
        ] {
            assert!(cacheable(lines), "{lines:?}");
        }
        for lines in [
            "",
            "Cache-Control: private\r\nETag: x\r\n",
            "Cache-Control: no-store, max-age=5\r\n",
            "Cache-Control: max-age=0\r\nETag: x\r\n",
            "Cache-Control: public, no-cache\r\nETag: x\r\n",
            "Pragma: no-cache\r\nCache-Control: public\r\nETag: x\r\n",
            "Cache-Control: s-maxage=0\r\nETag: x\r\n",
            "Pragma: no-cache\r\nETag: x\r\n",
        ] {
            assert!(!cacheable(lines), "{lines:?}");
        }
    }
}

//! From the fields of a header block to a request's head (RFC 9113, section 8.3).

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::build::RequestBuilder;
use crate::http::head::{Known, RequestHead};
use crate::http::semantics::{Malformed, is_field_value, is_padded, lower_case_name};
use crate::http::target;

/// What a field takes beside its name and value, in the size of a list (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;

/// Memory for fields that is larger than this, in bytes, was needed for an unusual head and is not kept.
const KEPT: usize = 4096;

/// The fields of a header block.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: Vec<u8>,
    /// Each one's name and value, in order.
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// Its size, as the protocol counts it.
    size: usize,
    /// How large it may be. What is beyond it is not kept.
    max_size: usize,
}

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Lines, as HTTP/1 would have them, the request line among them.
    pub(super) lines: usize,
    /// Bytes, as HTTP/1 would have them.
    pub(super) bytes: usize,
}

thread_local! {
    /// Memory for the next block's fields, whoever sends it: a connection that has none under way holds nothing for them.
    static SPARE: RefCell<Fields> = RefCell::default();
}

impl Fields {
    /// None yet, of a list that may have this size.
    pub(super) fn new(max_size: usize) -> Fields {
        let spare = SPARE.with_borrow_mut(std::mem::take);
        Fields { max_size, ..spare }
    }

    /// Gives the memory back to the thread.
    pub(super) fn release(mut self) {
        if self.text.capacity() <= KEPT {
            self.text.clear();
            self.fields.clear();
            self.size = 0;
            SPARE.set(self);
        }
    }

    /// Adds one.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + OVERHEAD;
        if self.is_too_large() {
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.fields.push((start..middle, middle..self.text.len()));
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.size > self.max_size
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    /// The trailers that these are, as lines of HTTP/1.
    ///
    /// # Errors
    /// Where they are none: a pseudo-header field is no trailer (section 8.1).
    pub(super) fn trailers(&self) -> Result<Vec<u8>, Malformed> {
        if self.is_too_large() {
            return Err(Malformed("trailers that are too long"));
        }
        let mut lines = Vec::with_capacity(self.text.len() + 4 * self.fields.len());
        for (name, value) in self.iter() {
            if lower_case_name(name).is_none()
                || !is_field_value(value)
                || is_padded(value)
                || is_of_connections(name)
            {
                return Err(Malformed("an invalid trailer"));
            }
            for piece in [name, b": ", value, b"\r\n"] {
                lines.extend_from_slice(piece);
            }
        }
        Ok(lines)
    }

    /// Makes a request's head of them, and writes the request line for the log. `ends` says that no body follows.
    ///
    /// # Errors
    /// Where they are malformed (section 8.1.1), or the head is not one that HTTP/1 would let in.
    pub(super) fn request(
        &self,
        ends: bool,
        bounds: Bounds,
        head: &mut RequestHead,
        log: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        if self.is_too_large() {
            return Err(Malformed("a head that is too large"));
        }
        let (pseudo, rest) = self.pseudo()?;
        let Pseudo { method, scheme, authority, path, protocol } = pseudo;
        let method = method.ok_or(Malformed("a request without a method"))?;
        let is_websocket = match protocol {
            Some(b"websocket") if method == b"CONNECT" => true,
            Some(_) => return Err(Malformed("an extended CONNECT for an unknown protocol")),
            None => false,
        };
        let is_connect = method == b"CONNECT" && !is_websocket;
        if is_connect && (scheme.is_some() || path.is_some()) {
            return Err(Malformed("a CONNECT to what is no host and port"));
        }
        let fields = &self.fields[rest..];
        let authority = self.authority(fields, authority, scheme)?;
        let target = if is_connect {
            authority
        } else {
            if !scheme.is_some_and(target::is_scheme) {
                return Err(Malformed("an invalid scheme"));
            }
            match path {
                Some(path) if path.first() == Some(&b'/') || path == b"*" => path,
                _ => return Err(Malformed("an invalid path")),
            }
        };
        let own_method = if is_websocket { b"GET" } else { method };
        let mut builder = RequestBuilder::begin(head, bounds.lines, own_method, target)?;
        builder.field(b"host", authority)?;
        self.build(fields, is_websocket, !ends && !is_connect && !is_websocket, &mut builder)?;
        if builder.finish()? > bounds.bytes {
            return Err(Malformed("a head that is too large"));
        }
        log.clear();
        log.extend_from_slice(method);
        log.push(b' ');
        if !is_connect && target != b"*" {
            log.extend_from_slice(scheme.unwrap_or_default());
            log.extend_from_slice(b"://");
            log.extend_from_slice(authority);
        }
        log.extend_from_slice(target);
        log.extend_from_slice(b" HTTP/2.0");
        head.log_as(log);
        Ok(())
    }

    /// The pseudo-header fields, which stand before all others, and how many they are.
    fn pseudo(&self) -> Result<(Pseudo<'_>, usize), Malformed> {
        let mut pseudo = Pseudo::default();
        let mut count = 0;
        for (name, value) in self.iter().take_while(|(name, _)| name.first() == Some(&b':')) {
            let place = match name {
                b":method" => &mut pseudo.method,
                b":scheme" => &mut pseudo.scheme,
                b":authority" => &mut pseudo.authority,
                b":path" => &mut pseudo.path,
                b":protocol" => &mut pseudo.protocol,
                _ => return Err(Malformed("a pseudo-header field that no request has")),
            };
            if place.replace(value).is_some() {
                return Err(Malformed("a pseudo-header field that comes twice"));
            }
            count += 1;
        }
        Ok((pseudo, count))
    }

    /// Whom the request is for: `:authority`, else the Host line; where there are both, they agree (section 8.3.1).
    fn authority<'f>(
        &'f self,
        fields: &[(Range<usize>, Range<usize>)],
        named: Option<&'f [u8]>,
        scheme: Option<&[u8]>,
    ) -> Result<&'f [u8], Malformed> {
        let mut hosts = fields
            .iter()
            .filter(|(name, _)| self.text[name.clone()] == *b"host")
            .map(|(_, value)| &self.text[value.clone()]);
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(Malformed("more than one Host"));
        }
        if let (Some(named), Some(host)) = (named, host)
            && !target::same_authority(scheme.unwrap_or_default(), named, host)
        {
            return Err(Malformed("a Host line beside another authority"));
        }
        named.or(host).ok_or(Malformed("a request for no host"))
    }

    /// Hands all fields but the host to the builder, and what stands for the rest.
    fn build(
        &self,
        fields: &[(Range<usize>, Range<usize>)],
        is_websocket: bool,
        is_chunked: bool,
        builder: &mut RequestBuilder<'_>,
    ) -> Result<(), Malformed> {
        let (mut cookies, mut has_length): (Option<Vec<u8>>, bool) = (None, false);
        for (name, value) in fields {
            let (name, value) = (&self.text[name.clone()], &self.text[value.clone()]);
            match name {
                b"host" => {}
                _ if is_of_connections(name) => return Err(Malformed("a field of HTTP/1's connections")),
                b"te" if value != b"trailers" => return Err(Malformed("a TE other than trailers")),
                // It has no meaning here (RFC 8441, section 5), and the server is to find one.
                b"sec-websocket-key" if is_websocket => {}
                // A client may send each cookie in a field of its own (section 8.2.3).
                b"cookie" => {
                    if !is_field_value(value) || is_padded(value) {
                        return Err(Malformed("an invalid field value"));
                    }
                    match &mut cookies {
                        None => cookies = Some(value.to_vec()),
                        Some(joined) => {
                            joined.extend_from_slice(b"; ");
                            joined.extend_from_slice(value);
                        }
                    }
                }
                _ => {
                    has_length |= name == b"content-length";
                    builder.field(name, value)?;
                }
            }
        }
        if let Some(cookies) = cookies {
            builder.line(b"cookie", Known::Cookie, cookies.trim_ascii())?;
        }
        if is_websocket {
            builder.line(b"connection", Known::Connection, b"Upgrade")?;
            builder.line(b"upgrade", Known::Upgrade, b"websocket")?;
            builder.line(b"sec-websocket-key", Known::Other, nonce().as_bytes())?;
        } else if is_chunked && !has_length {
            builder.line(b"transfer-encoding", Known::TransferEncoding, b"chunked")?;
        }
        Ok(())
    }
}

/// Whether a field belongs to a connection of HTTP/1, and makes a message malformed here (section 8.2.2).
fn is_of_connections(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade")
}

/// What stands before a request's fields.
#[derive(Debug, Default)]
struct Pseudo<'f> {
    method: Option<&'f [u8]>,
    scheme: Option<&'f [u8]>,
    authority: Option<&'f [u8]>,
    path: Option<&'f [u8]>,
    protocol: Option<&'f [u8]>,
}

/// Sixteen bytes that nobody has used before, in base 64 (RFC 6455, section 4.1): they prove only that the server has
/// read this request.
fn nonce() -> String {
    let random = || RandomState::new().hash_one(0_u8).to_be_bytes();
    STANDARD.encode([random(), random()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::Framing;
    use crate::http::parse;

    const BOUNDS: Bounds = Bounds { lines: 101, bytes: 16 * 1024 };

    fn fields(list: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new(16 * 1024);
        list.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        fields
    }

    /// The head as text, and the line of the log.
    fn read(list: &[(&str, &str)], ends: bool) -> Result<(RequestHead, String), Malformed> {
        let (mut head, mut log) = (RequestHead::default(), Vec::new());
        fields(list).request(ends, BOUNDS, &mut head, &mut log)?;
        Ok((head, String::from_utf8(log).unwrap()))
    }

    fn text(head: &RequestHead) -> String {
        let mut out = [head.method(), b" ", head.target(), b"\r\n"].concat();
        head.lines().iter().for_each(|line| line.write(&mut out));
        String::from_utf8(out).unwrap()
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a.test:81"), (":path", "/x?y")];

    fn get_with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        [&GET[..], more].concat()
    }

    #[test]
    fn cookies_are_joined_and_the_authority_becomes_the_host() {
        let more =
            [("host", "A.test:081"), ("cookie", "a=1"), ("x", "2"), ("cookie", "b=3"), ("te", "trailers")];
        let (head, log) = read(&get_with(&more), true).unwrap();
        assert_eq!(
            text(&head),
            "GET /x?y\r\nhost: a.test:81\r\nx: 2\r\nte: trailers\r\ncookie: a=1; b=3\r\n"
        );
        assert_eq!((head.framing, log.as_str()), (Framing::None, "GET http://a.test:81/x?y HTTP/2.0"));
        assert_eq!(head.request_line(), log.as_bytes());
        assert_eq!(head.host(), b"a.test");
    }

    #[test]
    fn how_a_body_ends_follows_from_its_length_or_the_stream() {
        let framing =
            |more: &[(&'static str, &'static str)], ends| read(&get_with(more), ends).unwrap().0.framing;
        assert_eq!(framing(&[], false), Framing::Chunked);
        assert_eq!(framing(&[("content-length", "5")], false), Framing::Length(5));
        assert_eq!(framing(&[("content-length", "0")], false), Framing::None);
        assert_eq!(framing(&[], true), Framing::None);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for more in [
            &[("host", "b.test")][..],
            &[("host", "a.test:81"), ("host", "a.test:81")],
            &[("host", "a.test:443")],
            &[("x", " y")],
            &[("x", "y\t")],
            &[("X", "y")],
            &[("x y", "y")],
            &[("connection", "close")],
            &[("transfer-encoding", "chunked")],
            &[("upgrade", "h2c")],
            &[("te", "gzip")],
            &[("te", "Trailers")],
            &[(":path", "/x")],
            &[("x", "y"), (":status", "200")],
            &[(":protocol", "websocket")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "+5")],
            &[("cookie", "a\n")],
        ] {
            assert!(read(&get_with(more), true).is_err(), "{more:?}");
        }
        for missing in 0..GET.len() {
            let list: Vec<_> =
                GET.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, field)| *field).collect();
            assert!(read(&list, true).is_err(), "{list:?}");
        }
        for (at, value) in [
            (0, "G T"),
            (0, ""),
            (1, ""),
            (1, "1"),
            (2, ""),
            (2, "u@a.test"),
            (3, ""),
            (3, "x"),
            (3, "*"),
            (3, "/#"),
        ] {
            let mut list = GET;
            list[at].1 = value;
            assert!(read(&list, true).is_err(), "{list:?}");
        }
        let host = [GET[0], GET[1], GET[3], ("host", "a.test")];
        assert_eq!(read(&host, true).unwrap().0.host(), b"a.test");
    }

    #[test]
    fn a_connect_names_a_host_and_a_port_alone() {
        let connect = [(":method", "CONNECT"), (":authority", "a.test:80")];
        let (head, log) = read(&connect, false).unwrap();
        assert_eq!(
            (text(&head).as_str(), head.framing),
            ("CONNECT a.test:80\r\nhost: a.test:80\r\n", Framing::None)
        );
        assert_eq!(log, "CONNECT a.test:80 HTTP/2.0");
        assert!(read(&[connect[0], connect[1], (":path", "/")], false).is_err());
        assert!(read(&[connect[0], (":authority", "a.test")], false).is_err());
    }

    #[test]
    fn an_extended_connect_becomes_an_upgrade() {
        let list = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", "a.test"),
            (":path", "/chat"),
            ("sec-websocket-key", "none"),
            ("sec-websocket-version", "13"),
        ];
        let (head, log) = read(&list, false).unwrap();
        let text = text(&head);
        let key = text.split_once("sec-websocket-key: ").unwrap().1.trim_end();
        assert!(text.starts_with("GET /chat\r\nhost: a.test\r\nsec-websocket-version: 13\r\n"));
        assert!(key.len() == 24 && key.ends_with("==") && !key[..22].contains('='), "{key}");
        assert_eq!(
            (log.as_str(), head.upgrade, head.framing),
            ("CONNECT https://a.test/chat HTTP/2.0", true, Framing::None)
        );
        let other: Vec<_> = list
            .iter()
            .map(|(name, value)| (*name, if *value == "websocket" { "connect-udp" } else { value }))
            .collect();
        assert!(read(&other, false).is_err());
    }

    #[test]
    fn a_head_has_bounds() {
        let large = "x".repeat(16 * 1024);
        let list = [&GET[..], &[("x", large.as_str())]].concat();
        assert!(read(&list, true).is_err());
        let many: Vec<_> = GET.into_iter().chain(std::iter::repeat_n(("x", ""), 101)).collect();
        assert!(read(&many, true).is_err());
        let mut head = RequestHead::default();
        let bytes = Bounds { bytes: 30, ..BOUNDS };
        assert!(fields(&GET).request(true, bytes, &mut head, &mut Vec::new()).is_err());
    }

    #[test]
    fn trailers_are_lines_and_nothing_else() {
        assert_eq!(fields(&[("a", "b"), ("c", "")]).trailers().unwrap(), b"a: b\r\nc: \r\n");
        for wrong in
            [(":path", "/"), ("A", "b"), ("a", " b"), ("a", "b\r\nc: d"), ("a b", "c"), ("connection", "x")]
        {
            assert!(fields(&[wrong]).trailers().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_reads_as_http_1_what_it_is() {
        let (head, _) = read(&get_with(&[("x", "y")]), false).unwrap();
        let mut parsed = RequestHead::default();
        let text = "GET /x?y HTTP/1.1\r\nhost: a.test:81\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n";
        parse::request(text.as_bytes(), 101, &mut parsed).unwrap().unwrap();
        parsed.log_as(b"GET http://a.test:81/x?y HTTP/2.0");
        assert_eq!(format!("{head:?}"), format!("{parsed:?}"));
    }
}

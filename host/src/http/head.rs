//! Message heads: the one form in which requests and responses are known between the client's side and
//! the server's, whatever protocol they came by.
//!
//! A head owns its bytes and remembers where things stand in them, so that it can be refilled for the next
//! message without an allocation, and handed to a policy without a copy. It does no I/O. What may stand in
//! a head is decided in [`super::parse`].

use std::ops::Range;

use super::target::{self, Form, Target};

/// A place in a head's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    start: u32,
    end: u32,
}

impl Slice {
    /// The place of `part` in `whole`, of which it must be a slice.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Slice {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len());
        Slice { start: start as u32, end: (start + part.len()) as u32 }
    }

    /// The place between two offsets.
    pub(super) fn between(range: Range<usize>) -> Slice {
        Slice { start: range.start as u32, end: range.end as u32 }
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A header line's place.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub(super) name: Slice,
    pub(super) value: Slice,
    /// Which header it is, where the data path must know.
    pub known: Known,
    /// Whether it stands in the bytes as it is passed on: one space behind the colon, CRLF behind the value.
    pub(super) tidy: bool,
}

/// A header line.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its name, in lower case.
    pub name: &'a [u8],
    /// Its value, without the white space around it.
    pub value: &'a [u8],
    /// Which header it is, where the data path must know.
    pub known: Known,
    /// All of it, with its line end, where it is as it is to be passed on.
    line: Option<&'a [u8]>,
}

impl Field<'_> {
    /// Writes it, as all lines are written.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.line {
            Some(line) => out.extend_from_slice(line),
            None => write_line(self.name, self.value, out),
        }
    }
}

/// Writes a header line, its name in lower case.
pub fn write_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(name);
    out[start..].make_ascii_lowercase();
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Where a response's head is written, whatever protocol the client speaks. Names are in lower case.
pub trait HeadSink {
    /// The status, which comes first.
    fn status(&mut self, head: &ResponseHead);

    /// A field, whose value is in two parts.
    fn field(&mut self, name: &[u8], known: Known, value: [&[u8]; 2]);

    /// A line of another head.
    fn line(&mut self, line: &Field<'_>) {
        self.field(line.name, line.known, [line.value, b""]);
    }

    /// There are no more.
    fn end(&mut self);
}

/// The head as HTTP/1 has it.
impl HeadSink for Vec<u8> {
    fn status(&mut self, head: &ResponseHead) {
        self.extend_from_slice(if head.version == Version::Http10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        self.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
        self.push(b' ');
        self.extend_from_slice(head.reason());
        self.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &[u8], _: Known, [value, rest]: [&[u8]; 2]) {
        debug_assert!(!name.iter().any(u8::is_ascii_uppercase));
        for piece in [name, b": ", value, rest, b"\r\n"] {
            self.extend_from_slice(piece);
        }
    }

    fn line(&mut self, line: &Field<'_>) {
        line.write(self);
    }

    fn end(&mut self) {
        self.extend_from_slice(b"\r\n");
    }
}

/// Headers that the data path looks at; found once, when the head is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Known {
    Other,
    Connection,
    ContentLength,
    TransferEncoding,
    Host,
    Cookie,
    SetCookie,
    Upgrade,
    KeepAlive,
    ProxyConnection,
    Te,
    Http2Settings,
    CacheControl,
    Pragma,
    Expires,
    ETag,
    LastModified,
    Authorization,
    Challenge,
}

impl Known {
    /// Recognises a header's name, which is in lower case.
    pub fn of(name: &[u8]) -> Known {
        match name {
            b"te" => Known::Te,
            b"host" => Known::Host,
            b"etag" => Known::ETag,
            b"cookie" => Known::Cookie,
            b"pragma" => Known::Pragma,
            b"expires" => Known::Expires,
            b"upgrade" => Known::Upgrade,
            b"connection" => Known::Connection,
            // RFC 2965 is history, but a cookie set by its header is one all the same.
            b"set-cookie" | b"set-cookie2" => Known::SetCookie,
            b"keep-alive" => Known::KeepAlive,
            b"http2-settings" => Known::Http2Settings,
            b"authorization" | b"proxy-authorization" => Known::Authorization,
            b"last-modified" => Known::LastModified,
            b"cache-control" => Known::CacheControl,
            b"content-length" => Known::ContentLength,
            b"proxy-connection" => Known::ProxyConnection,
            b"transfer-encoding" => Known::TransferEncoding,
            b"www-authenticate" | b"proxy-authenticate" => Known::Challenge,
            _ => Known::Other,
        }
    }
}

/// Schemes by which a client authenticates the connection, so that all that follows on it is taken for its own: NTLM,
/// and those that may turn out to be NTLM or Kerberos (RFC 4559, section 5). RFC 9110, section 11, knows no such thing.
const CONNECTION_SCHEMES: [&[u8]; 4] = [b"ntlm", b"negotiate", b"kerberos", b"nego2"];

/// Whether credentials, or one challenge of a list, are of a scheme that authenticates the connection. A comma within
/// quotes may make a realm look like one: that costs a connection its reuse, and no more.
pub(super) fn binds_connection(value: &[u8]) -> bool {
    let scheme = value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    CONNECTION_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// HTTP's version on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// How a message's body is delimited (RFC 9112, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Up to the connection's end; responses only.
    Close,
}

/// The bytes and header lines that both kinds of head have.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Line>,
    pub(super) unusual_names: bool,
}

impl Lines {
    /// Bytes of memory that it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    /// Whether any line came whose name is not made of letters, digits and `-` alone.
    pub fn has_unusual_names(&self) -> bool {
        self.unusual_names
    }

    pub(super) fn slice(&self, at: Slice) -> &[u8] {
        self.bytes.get(at.range()).unwrap_or_default()
    }

    /// Each line.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines.iter().map(|line| Field {
            name: self.slice(line.name),
            value: self.slice(line.value),
            known: line.known,
            line: if line.tidy {
                self.bytes.get(line.name.range().start..line.value.range().end + 2)
            } else {
                None
            },
        })
    }

    /// The value of the first line of this name, in any case.
    pub fn header(&self, name: &[u8]) -> Option<&[u8]> {
        self.lines
            .iter()
            .find(|line| self.slice(line.name).eq_ignore_ascii_case(name))
            .map(|line| self.slice(line.value))
    }

    /// Whether the Connection lines name this header. Those that delimit the message, or say where it goes,
    /// are no hop's to take away.
    pub fn nominated(&self, name: &[u8], known: Known) -> bool {
        !matches!(known, Known::ContentLength | Known::TransferEncoding | Known::Host | Known::Cookie)
            && self
                .known(Known::Connection)
                .flat_map(super::semantics::tokens)
                .any(|token| token.eq_ignore_ascii_case(name))
    }

    /// The values of the lines of one kind, in order.
    pub fn known(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |line| line.known == known).map(|line| self.slice(line.value))
    }
}

/// A request's head.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    pub(super) lines: Lines,
    pub(super) method: Slice,
    pub(super) target: Slice,
    pub(super) request_line: Slice,
    form: Form,
    /// The target's own authority, else the Host line's.
    authority: Slice,
    host: Slice,
    path: Slice,
    query: Option<Slice>,
    /// The version that the client speaks.
    pub version: Version,
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether the client wants the connection kept.
    pub keep_alive: bool,
    /// Whether it asks for another protocol, by `Connection: upgrade` and an Upgrade line of one that may be changed to.
    pub upgrade: bool,
    /// Whether its Connection lines name headers that end at this hop (RFC 9110, section 7.6.1).
    pub nominates: bool,
    /// Whether it brings credentials that authenticate the connection it is sent on, not the request alone.
    pub binds_connection: bool,
    /// The client's port; 0 where unknown.
    pub client_port: u16,
}

impl RequestHead {
    /// The header lines.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The method, as sent.
    pub fn method(&self) -> &[u8] {
        self.lines.slice(self.method)
    }

    /// Whether it may come twice and do no more than once: its method is one that RFC 9110, section 9.2.2, calls
    /// idempotent.
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
    }

    /// Whether the client wants to be asked for the body before it sends it (RFC 9110, section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.lines.header(b"expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// The request target, as sent.
    pub fn target(&self) -> &[u8] {
        self.lines.slice(self.target)
    }

    /// The first line, as sent, without its end.
    pub fn request_line(&self) -> &[u8] {
        self.lines.slice(self.request_line)
    }

    /// Takes away the lines of these names, in any case.
    pub fn forget(&mut self, names: &[&str]) {
        self.retain(|name| !names.iter().any(|forgotten| name.eq_ignore_ascii_case(forgotten.as_bytes())));
    }

    /// Keeps the lines of such names alone, which are in lower case.
    pub fn retain(&mut self, keeps: impl Fn(&[u8]) -> bool) {
        let Lines { bytes, lines, .. } = &mut self.lines;
        lines.retain(|line| keeps(bytes.get(line.name.range()).unwrap_or_default()));
    }

    /// Has the log show another request line: the one of the protocol that the client spoke.
    pub fn log_as(&mut self, line: &[u8]) {
        let bytes = &mut self.lines.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(line);
        self.request_line = Slice::between(start..bytes.len());
    }

    /// All of it as HTTP/1 has it, where it came by another protocol.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn as_http1(&self) -> &[u8] {
        &self.lines.bytes[..self.request_line.start()]
    }

    /// The form that its target has.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The target's path, without scheme, authority and query. A URL that has none means `/`, and in OPTIONS `*`, the
    /// server itself; in a CONNECT it is empty.
    pub fn path(&self) -> &[u8] {
        match self.lines.slice(self.path) {
            [] if self.form == Form::Absolute && self.query.is_none() && self.method() == b"OPTIONS" => b"*",
            [] if self.form == Form::Absolute => b"/",
            path => path,
        }
    }

    /// What stands after the target's first question mark.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|query| self.lines.slice(query))
    }

    /// Whether it has a path that is one, and not `*` or the host of a CONNECT.
    pub fn has_path(&self) -> bool {
        self.path().first() == Some(&b'/')
    }

    /// Writes path and query as a URL has them; nothing where there is no path.
    pub fn write_url(&self, out: &mut Vec<u8>) {
        if !self.has_path() {
            return;
        }
        out.extend_from_slice(self.path());
        if let Some(query) = self.query() {
            out.push(b'?');
            out.extend_from_slice(query);
        }
    }

    /// The authority asked for: the target's own, else the Host line's; empty where there is none.
    pub fn authority(&self) -> &[u8] {
        self.lines.slice(self.authority)
    }

    /// The authority's host, without port and without a dot at its end. An IPv6 address keeps its brackets.
    pub fn host(&self) -> &[u8] {
        self.lines.slice(self.host)
    }

    /// Notes what the request is for: a target taken apart, and the place of the Host line's value with the length of the
    /// host in it.
    pub(super) fn is_for(&mut self, target: &Target, line: Option<(Slice, usize)>) {
        let start = self.target.start();
        let place = |range: &Range<usize>| Slice::between(start + range.start..start + range.end);
        self.form = target.form;
        self.path = place(&target.path);
        self.query = target.query.as_ref().map(place);
        let named = target.authority.as_ref().map(|(range, host)| (place(range), *host)).or(line);
        let (authority, host) = named.unwrap_or_default();
        self.authority = authority;
        let start = authority.start();
        let host = target::without_dot(self.lines.slice(Slice::between(start..start + host))).len();
        self.host = Slice::between(start..start + host);
    }

    /// The value of the first cookie of this name.
    pub fn cookie(&self, name: &[u8]) -> Option<&[u8]> {
        self.lines
            .known(Known::Cookie)
            .flat_map(super::cookies::pairs)
            .find(|pair| pair.name == name)
            .map(|pair| pair.value)
    }
}

/// A response's head.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    pub(super) lines: Lines,
    pub(super) reason: Slice,
    /// The status code.
    pub status: u16,
    /// The version that the server speaks.
    pub version: Version,
    /// How its body is delimited.
    pub framing: Framing,
    /// Whether the server keeps the connection.
    pub keep_alive: bool,
    /// Whether its Connection lines say that the protocol changes, to one that may be changed to.
    pub upgrade: bool,
    /// Whether its Connection lines name headers that end at this hop (RFC 9110, section 7.6.1).
    pub nominates: bool,
    /// Whether it asks for credentials that authenticate the connection it came by, not the request alone.
    pub binds_connection: bool,
}

impl ResponseHead {
    /// The header lines.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The reason phrase, as sent.
    pub fn reason(&self) -> &[u8] {
        self.lines.slice(self.reason)
    }

    /// Whether it answers a call of gRPC, and a stream of messages and then trailers follow.
    pub fn is_grpc(&self) -> bool {
        let content_type = self.lines.header(b"content-type").unwrap_or_default();
        self.framing == Framing::Chunked && content_type.starts_with(b"application/grpc")
    }
}

//! An exchange's line as a log-format string has it. The string was taken apart when the configuration was
//! read; here its pieces are written one after the other, without an allocation.
//!
//! Which text is quoted, encoded or shown as `-`, and where spaces are left out, is as in HAProxy; and beyond
//! it, control characters never reach a line.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use super::captured;
use super::date::Dates;
use super::httplog::{REQUEST_LINE_MAX, UNIX_CLIENT, braces, encode, encode_header};
use super::json::ip_address;
use super::record::Record;
use crate::config::model::{Capture, Captures, Field, Flags, Piece};
use crate::http::head::Lines;
use crate::http::target;

/// What a line is about, and where it is made.
pub(super) struct Place<'a> {
    /// The exchange.
    pub(super) record: &'a Record<'a>,
    /// What is shown of headers and cookies.
    pub(super) captures: &'a Captures,
    /// The host's name.
    pub(super) host: &'a str,
    /// The process's number.
    pub(super) process: u32,
}

/// Appends the line, without an end of line.
pub(super) fn write(pieces: &[Piece], place: &Place<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    // A line does not begin with a space either.
    let mut after_space = true;
    for piece in pieces {
        let start = out.len();
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Space if after_space => continue,
            Piece::Space => out.push(b' '),
            Piece::Field(field, flags) => place.field(field, *flags, dates, out),
        }
        match piece {
            Piece::Space => after_space = true,
            // What has nothing to show leaves no trace.
            _ => after_space &= out.len() == start,
        }
    }
}

impl Place<'_> {
    fn field(&self, field: &Field, flags: Flags, dates: &mut Dates, out: &mut Vec<u8>) {
        let record = self.record;
        match field {
            Field::ClientIp => match record.client {
                None => plain(Some(UNIX_CLIENT), flags, out),
                client => address(client, flags, out),
            },
            Field::ClientPort => port(record.client, flags, out),
            Field::FrontendIp => address(record.local, flags, out),
            Field::FrontendPort => port(record.local, flags, out),
            Field::ServerIp => address(record.server_address, flags, out),
            Field::ServerPort => port(record.server_address, flags, out),
            Field::Frontend => plain(Some(record.frontend.as_bytes()), flags, out),
            Field::FrontendTransport => quoted(flags, out, |out| {
                out.extend_from_slice(record.frontend.as_bytes());
                out.extend_from_slice(if record.tls.is_some() { b"~" } else { b"" });
            }),
            Field::Backend => plain(Some(record.backend.as_bytes()), flags, out),
            Field::Server => plain(Some(record.server.unwrap_or("<NOSRV>").as_bytes()), flags, out),
            Field::HostName => plain(Some(self.host.as_bytes()), flags, out),
            Field::Date => dates.request(record.accepted, out),
            Field::DateUtc => dates.clf(record.accepted, true, out),
            Field::DateLocal => dates.clf(record.accepted, false, out),
            Field::Termination => out.extend_from_slice(&record.termination[..2]),
            Field::TerminationAndCookie => out.extend_from_slice(&record.termination),
            Field::ProcessId => numbered(self.process.into(), flags, 4, out),
            Field::Seconds => numbered(since_1970(record.accepted).0, flags, 4, out),
            Field::Milliseconds => numbered(since_1970(record.accepted).1, flags, 2, out),
            Field::TlsVersion => plain(record.tls.map(|tls| tls.version.as_bytes()), flags, out),
            Field::TlsCipher => plain(record.tls.map(|tls| tls.cipher.as_bytes()), flags, out),
            Field::TlsName => fetched(record.tls.and_then(|tls| tls.name).map(str::as_bytes), flags, out),
            Field::TlsProtocol => {
                fetched(record.tls.and_then(|tls| tls.protocol), flags, out);
            }
            Field::TlsClient => {
                fetched(record.tls.and_then(|tls| tls.client).map(str::as_bytes), flags, out);
            }
            Field::IsTls => out.push(if record.tls.is_some() { b'1' } else { b'0' }),
            Field::RequestLine
            | Field::Method
            | Field::Uri
            | Field::Path
            | Field::PathOnly
            | Field::Query
            | Field::QueryOnly
            | Field::Version
            | Field::VersionNumber => self.request(field, flags, out),
            Field::RequestCaptures
            | Field::RequestCaptureList
            | Field::ResponseCaptures
            | Field::ResponseCaptureList
            | Field::RequestCookie
            | Field::ResponseCookie
            | Field::RequestCapture(_)
            | Field::ResponseCapture(_)
            | Field::RequestHeader(_)
            | Field::ResponseHeader(_) => self.captured(field, flags, out),
            counted => self.count(counted, out),
        }
    }

    /// Parts of the request line.
    fn request(&self, field: &Field, flags: Flags, out: &mut Vec<u8>) {
        let Some(parts) = self.record.request_parts() else {
            return plain(Some(b"<BADREQ>"), flags, out);
        };
        let [method, target, version] = parts;
        let target = &target[..target.len().min(REQUEST_LINE_MAX)];
        let path = memchr::memchr(b'?', target).unwrap_or(target.len());
        let text = match field {
            Field::Method => method,
            Field::Uri => target,
            Field::Path => &target[..path],
            Field::PathOnly => path_of(&target[..path]),
            Field::Query => &target[path..],
            Field::QueryOnly => target.get(path + 1..).unwrap_or_default(),
            Field::Version => version,
            Field::VersionNumber => version.strip_prefix(b"HTTP/").unwrap_or(version),
            _ => self.record.request_line.unwrap_or_default(),
        };
        let text = &text[..text.len().min(REQUEST_LINE_MAX)];
        quoted(flags, out, |out| if flags.escape { escape(text, out) } else { encode(text, out) });
    }

    fn captured(&self, field: &Field, flags: Flags, out: &mut Vec<u8>) {
        let (record, captures) = (self.record, self.captures);
        let request = record.request.map(|head| head.lines());
        let response = record.response.map(|head| head.lines());
        let one = |captures: &[Capture], index: usize, lines| {
            captures.get(index).and_then(|capture| captured::header(lines, capture))
        };
        match field {
            Field::RequestCaptures => self.all(&captures.request, request, flags, out),
            Field::ResponseCaptures => self.all(&captures.response, response, flags, out),
            Field::RequestCaptureList => self.list(&captures.request, request, flags, out),
            Field::ResponseCaptureList => self.list(&captures.response, response, flags, out),
            Field::RequestCookie => {
                let cookie = captures.cookie.as_ref();
                plain(cookie.and_then(|capture| captured::request_cookie(record, capture)), flags, out);
            }
            Field::ResponseCookie => {
                let cookie = captures.cookie.as_ref();
                plain(cookie.and_then(|capture| captured::response_cookie(record, capture)), flags, out);
            }
            Field::RequestCapture(index) => fetched(one(&captures.request, *index, request), flags, out),
            Field::ResponseCapture(index) => fetched(one(&captures.response, *index, response), flags, out),
            Field::RequestHeader(name) => fetched(header(request, name), flags, out),
            Field::ResponseHeader(name) => fetched(header(response, name), flags, out),
            _ => {}
        }
    }

    /// Captures between braces; nothing at all where there are none, or no request.
    fn all(&self, captures: &[Capture], lines: Option<&Lines>, flags: Flags, out: &mut Vec<u8>) {
        if !captures.is_empty() && self.record.request_line.is_some() {
            quoted(flags, out, |out| braces(captures, lines, out));
        }
    }

    /// Captures one by one.
    fn list(&self, captures: &[Capture], lines: Option<&Lines>, flags: Flags, out: &mut Vec<u8>) {
        if self.record.request_line.is_none() {
            return;
        }
        for (index, capture) in captures.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            match captured::header(lines, capture).filter(|value| !value.is_empty()) {
                Some(value) => quoted(flags, out, |out| encode_header(value, out)),
                None => plain(None, flags, out),
            }
        }
    }

    /// Times and counts, which no flag changes.
    fn count(&self, field: &Field, out: &mut Vec<u8>) {
        let record = self.record;
        let number = match field {
            Field::RequestTime => record.request_ms,
            Field::QueueTime => record.queue_ms,
            Field::ConnectTime => record.connect_ms,
            Field::ResponseTime => record.response_ms,
            Field::DataTime => record.data_ms(),
            Field::TotalTime => record.total_ms,
            Field::Status => record.status.map_or(-1, i64::from),
            Field::Bytes => record.bytes as i64,
            Field::Uploaded => record.uploaded as i64,
            Field::ProcessConnections => record.process_connections.into(),
            Field::FrontendConnections => record.frontend_connections.into(),
            Field::BackendConnections => record.backend_connections.into(),
            Field::ServerConnections => record.server_connections.into(),
            Field::ServerQueue => record.server_queue.into(),
            Field::BackendQueue => record.backend_queue.into(),
            _ => {
                if record.redispatched {
                    out.push(b'+');
                }
                record.retries.into()
            }
        };
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

fn header<'a>(lines: Option<&'a Lines>, name: &str) -> Option<&'a [u8]> {
    captured::last_line(lines?, name.as_bytes())
}

/// A path without the scheme and authority that may stand before it.
fn path_of(target: &[u8]) -> &[u8] {
    target::path_of(target).map_or(target, |path| &target[path])
}

fn since_1970(time: SystemTime) -> (u64, u64) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_millis().into())
}

fn quoted(flags: Flags, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if flags.quote {
        out.push(b'"');
    }
    write(out);
    if flags.quote {
        out.push(b'"');
    }
}

/// A name or a cookie; `-`, or empty quotes, where there is none.
fn plain(text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    match text {
        Some(text) => quoted(flags, out, |out| encode_controls(text, flags, out)),
        None => out.extend_from_slice(if flags.quote { b"\"\"" } else { b"-" }),
    }
}

/// The value of a sample fetch: as it is but for control characters. An empty one is as good as none.
fn fetched(text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    plain(text.filter(|text| !text.is_empty()), flags, out);
}

fn encode_controls(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            0..=0x1f | 0x7f => encode(&[*byte], out),
            b'"' | b'\\' | b']' if flags.escape => out.extend_from_slice(&[b'\\', *byte]),
            _ => out.push(*byte),
        }
    }
}

/// What `+E` makes of what a client sent: encoded but for what it puts a `\` before.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' | b'\\' | b']' => out.extend_from_slice(&[b'\\', *byte]),
            b'#' => out.push(b'#'),
            _ => encode(&[*byte], out),
        }
    }
}

fn numbered(number: u64, flags: Flags, digits: usize, out: &mut Vec<u8>) {
    if flags.hex {
        hex(number, digits, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

fn hex(number: u64, digits: usize, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let needed = (16 - number.leading_zeros() as usize / 4).max(digits);
    for digit in (0..needed).rev() {
        out.push(HEX[(number >> (4 * digit) & 15) as usize]);
    }
}

fn address(address: Option<SocketAddr>, flags: Flags, out: &mut Vec<u8>) {
    match address.map(|address| address.ip()) {
        None => plain(None, flags, out),
        Some(ip) => quoted(flags, out, |out| match ip {
            _ if !flags.hex => ip_address(ip, out),
            IpAddr::V4(ip) => hex(ip.to_bits().into(), 8, out),
            IpAddr::V6(ip) => ip.octets().into_iter().for_each(|octet| hex(octet.into(), 2, out)),
        }),
    }
}

fn port(address: Option<SocketAddr>, flags: Flags, out: &mut Vec<u8>) {
    match address {
        Some(address) => numbered(address.port().into(), flags, 4, out),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::config::model::LogLine;
    use crate::http::head::{RequestHead, ResponseHead};
    use crate::http::parse;
    use crate::log::httplog::{httplog, tests::example};

    const CAPTURE: &str = "capture = { request = [{ header = \"user-agent\", len = 12 }, \
        { header = \"x-none\", len = 5 }], response = { header = \"x-out\", len = 20 }, \
        cookie = { name = \"SID\", len = 20 } }";

    fn logging(format: &str, capture: &str) -> (std::sync::Arc<[Piece]>, Captures) {
        let text = format!(
            "[defaults]\n[frontends.f]\nbind = \"*:80\"\ndefault_backend = \"b\"\nlog_format = '{format}'\n{capture}\n\
             [backends.b]\nservers = [{{ name = \"s\", address = \"10.0.0.1:80\" }}]"
        );
        let config = config::parse(&text, "lb.toml").expect("it is right").config;
        let logging = config.frontends[0].logging.clone();
        let LogLine::Pattern(pieces) = logging.line else { panic!("it has variables") };
        (pieces, logging.captures)
    }

    fn line_of(record: &Record<'_>, format: &str, capture: &str) -> String {
        let (pieces, captures) = logging(format, capture);
        let mut out = Vec::new();
        let place = Place { record, captures: &captures, host: "vm", process: 13_786 };
        write(&pieces, &place, &mut Dates::ahead_of_utc(0), &mut out);
        String::from_utf8(out).expect("it is text")
    }

    fn heads() -> (RequestHead, ResponseHead) {
        let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
        let text = b"GET /a/b?x=1%5d HTTP/1.1\r\nhost: h\r\nuser-agent: cu\"rl|{}#\\]12345678\r\ncookie: A=1; SID=xyz\r\n\r\n";
        parse::request(text, 101, &mut request).unwrap().unwrap();
        let text = b"HTTP/1.1 200 OK\r\nx-out: re\"s|p\r\nset-cookie: SID=abc; path=/\r\n\r\n";
        parse::response(text, 101, false, &mut response).unwrap().unwrap();
        (request, response)
    }

    /// Format strings, and what HAProxy 2.6 made of them with this exchange.
    const AS_HAPROXY: &[(&str, &str)] = &[
        (
            "%{+Q}o %ci %cp %f %ft %b %s %ST %B %TR %ts %tsc %ac %rc %r %HM %HU %HP %HPO %HQ %HV %hr %hs %hrl %hsl %CC %CS",
            "\"10.0.1.2\" 33317 \"http-in\" \"http-in\" \"static\" \"srv1\" 200 2750 10 -- ---- 1 0 \
             \"GET /a/b?x=1%5d HTTP/1.1\" \"GET\" \"/a/b?x=1%5d\" \"/a/b\" \"/a/b\" \"?x=1%5d\" \"HTTP/1.1\" \
             \"{cu#22rl#7C#7B#7D#23\\]1|}\" \"{re#22s#7Cp}\" \"cu#22rl#7C#7B#7D#23\\]1\" \"\" \"re#22s#7Cp\" \
             \"SID=xyz\" \"SID=abc\"",
        ),
        (
            "%ci %cp  x   y %hrl|%hsl %% [%trg] %Ts %U %Td %{+Q}hrl %{+X}ST %{+X}pid %{+X}ci %{+X}cp %{+X}B",
            "10.0.1.2 33317 x y cu#22rl#7C#7B#7D#23\\]1 -|re#22s#7Cp % [06/Feb/2009:12:14:14 +0000] 1233922454 80 0 \
             \"cu#22rl#7C#7B#7D#23\\]1\" \"\" 200 35DA 0A000102 8225 2750",
        ),
        (
            "%{+E}HU %[capture.req.hdr(0)] %[capture.res.hdr(0)] %[capture.req.hdr(1)] %{+Q}[capture.req.hdr(0)] %[ssl_fc] \
             %[ssl_fc_protocol] %[src] %[method] %[status] %{+Q}[ssl_fc_protocol] %{+E}[capture.req.hdr(0)]",
            "/a/b?x=1%5d cu\"rl|{}#\\]1 re\"s|p - \"cu\"rl|{}#\\]1\" 0 - 10.0.1.2 GET 200 \"\" cu\\\"rl|{}#\\\\\\]1",
        ),
        ("%hr%hs", "{cu#22rl#7C#7B#7D#23\\]1|}{re#22s#7Cp}"),
        ("a%hrl %{+Q}hsl b %%", "acu#22rl#7C#7B#7D#23\\]1 - \"re#22s#7Cp\" b %"),
        (
            "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 SID=xyz SID=abc \
             ---- 1/1/1/1/0 0/0 {cu#22rl#7C#7B#7D#23\\]1|} {re#22s#7Cp} \"GET /a/b?x=1%5d HTTP/1.1\"",
        ),
    ];

    #[test]
    fn lines_are_as_haproxy_writes_them() {
        let (request, response) = heads();
        let line = request.request_line().to_vec();
        let record = Record {
            request: Some(&request),
            response: Some(&response),
            request_line: Some(&line),
            ..example()
        };
        for (format, expected) in AS_HAPROXY {
            assert_eq!(line_of(&record, format, CAPTURE), *expected, "{format}");
        }
        let (_, captures) = logging("%ci", CAPTURE);
        let mut out = Vec::new();
        httplog(&record, &captures, &mut Dates::ahead_of_utc(0), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), AS_HAPROXY[5].1, "the HTTP format is that string");
    }

    #[test]
    fn a_bad_request_has_neither_captures_nor_parts() {
        let record = Record { request_line: None, server: None, server_address: None, ..example() };
        let line = line_of(&record, "%ci:%cp x %hr %hs %{+Q}r %HM %hrl|%CC %si:%sp %{+Q}CS", CAPTURE);
        assert_eq!(line, "10.0.1.2:33317 x \"<BADREQ>\" <BADREQ> |- -:- \"\"");
    }

    #[test]
    fn headers_can_be_had_without_a_capture() {
        let (request, response) = heads();
        let record = Record { request: Some(&request), response: Some(&response), ..example() };
        let line =
            line_of(&record, "%[req.hdr(Host)] %{+Q}[res.hdr(x-out)] %[req.hdr(x)] %[req.ver] %[query]", "");
        assert_eq!(line, "h \"re\"s|p\" - 1.1 ");
    }

    proptest! {
        #[test]
        fn no_control_character_reaches_a_line(sent in proptest::collection::vec(any::<u8>(), 0..200)) {
            let record = Record { request_line: Some(&sent), ..example() };
            let (pieces, captures) = logging("%r %HM %HU %HP %HPO %HQ %HV %{+E}r %[path] %[query]", "");
            let mut out = Vec::new();
            let place = Place { record: &record, captures: &captures, host: "vm", process: 1 };
            write(&pieces, &place, &mut Dates::ahead_of_utc(0), &mut out);
            prop_assert!(out.iter().all(|byte| (0x20..0x7f).contains(byte)));
        }
    }
}

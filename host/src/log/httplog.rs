//! An exchange's line, as HAProxy writes it: `option httplog`'s format, and the one without it.
//!
//! Lines go out at the pace of requests: nothing here allocates beyond the buffer it appends to. What a
//! client sent is encoded, so that a line stays one line and shows no control character.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::captured;
use super::date::Dates;
use super::record::{LostConnection, Record};
use crate::config::model::{Capture, Captures};
use crate::http::head::Lines;

/// The most bytes of a request line that are looked at, before they are encoded: HAProxy's
/// `tune.http.logurilen` of 1024, less one.
pub(super) const REQUEST_LINE_MAX: usize = 1023;

/// How a client on a Unix socket is named.
pub(super) const UNIX_CLIENT: &[u8] = b"unix:1";

/// Appends the line of `option httplog`, without an end of line.
pub(super) fn httplog(record: &Record<'_>, captures: &Captures, dates: &mut Dates, out: &mut Vec<u8>) {
    match record.client {
        Some(client) => address(client, out),
        None => out.extend_from_slice(UNIX_CLIENT),
    }
    out.extend_from_slice(b" [");
    dates.request(record.accepted, out);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(record.frontend.as_bytes());
    out.extend_from_slice(if record.tls.is_some() { b"~ " } else { b" " });
    out.extend_from_slice(record.backend.as_bytes());
    out.push(b'/');
    out.extend_from_slice(record.server.unwrap_or("<NOSRV>").as_bytes());

    number(b' ', record.request_ms, out);
    number(b'/', record.queue_ms, out);
    number(b'/', record.connect_ms, out);
    number(b'/', record.response_ms, out);
    number(b'/', record.total_ms, out);
    number(b' ', record.status.map_or(-1, i64::from), out);
    number(b' ', record.bytes as i64, out);
    match &captures.cookie {
        None => out.extend_from_slice(b" - - "),
        Some(capture) => cookies(record, capture, out),
    }
    out.extend_from_slice(&record.termination);

    number(b' ', record.process_connections.into(), out);
    number(b'/', record.frontend_connections.into(), out);
    number(b'/', record.backend_connections.into(), out);
    number(b'/', record.server_connections.into(), out);
    if record.redispatched {
        out.push(b'/');
    }
    number(if record.redispatched { b'+' } else { b'/' }, record.retries.into(), out);
    number(b' ', record.server_queue.into(), out);
    number(b'/', record.backend_queue.into(), out);

    let understood = record.request_line.is_some();
    if understood && !captures.request.is_empty() {
        out.push(b' ');
        braces(&captures.request, record.request.map(|head| head.lines()), out);
    }
    if understood && !captures.response.is_empty() {
        out.push(b' ');
        braces(&captures.response, record.response.map(|head| head.lines()), out);
    }
    out.extend_from_slice(b" \"");
    match record.request_line {
        Some(line) => encode(&line[..line.len().min(REQUEST_LINE_MAX)], out),
        None => out.extend_from_slice(b"<BADREQ>"),
    }
    out.push(b'"');
}

/// Appends the line without `option httplog`, without an end of line: only who came, and to where. An
/// exchange whose request was not understood has no such line; then `false` is returned.
pub(super) fn connect(record: &Record<'_>, out: &mut Vec<u8>) -> bool {
    if record.request_line.is_none() {
        return false;
    }
    match (record.client, record.local) {
        (Some(client), Some(local)) => {
            out.extend_from_slice(b"Connect from ");
            address(client, out);
            out.extend_from_slice(b" to ");
            address(local, out);
        }
        (Some(client), None) => {
            out.extend_from_slice(b"Connect from ");
            address(client, out);
        }
        (None, _) => {
            out.extend_from_slice(b"Connect to ");
            out.extend_from_slice(UNIX_CLIENT);
        }
    }
    out.extend_from_slice(b" (");
    out.extend_from_slice(record.frontend.as_bytes());
    out.extend_from_slice(b"/HTTP)");
    true
}

/// Appends the line of a connection that came to nothing, without an end of line.
pub(super) fn lost(lost: &LostConnection<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    match lost.client {
        Some(client) => address(client, out),
        None => out.extend_from_slice(UNIX_CLIENT),
    }
    out.extend_from_slice(b" [");
    dates.request(lost.accepted, out);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(lost.frontend.as_bytes());
    out.push(b'/');
    out.extend_from_slice(lost.listener.to_string().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(lost.why.as_bytes());
    if let Some(detail) = lost.detail {
        out.extend_from_slice(b" (");
        encode(detail.as_bytes(), out);
        out.push(b')');
    }
}

/// Appends the captured cookie of the request and that of the response, `-` where there is none, with a space
/// before, between and after them.
fn cookies(record: &Record<'_>, capture: &Capture, out: &mut Vec<u8>) {
    out.push(b' ');
    for cookie in [captured::request_cookie(record, capture), captured::response_cookie(record, capture)] {
        encode(cookie.unwrap_or(b"-"), out);
        out.push(b' ');
    }
}

/// Appends captured headers between braces; what delimits them is encoded in them.
pub(super) fn braces(captures: &[Capture], lines: Option<&Lines>, out: &mut Vec<u8>) {
    for (index, capture) in captures.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b'|' });
        encode_header(captured::header(lines, capture).unwrap_or_default(), out);
    }
    out.push(b'}');
}

/// Appends a header as [`encode`] does, and `{`, `|` and `}` encoded as well.
pub(super) fn encode_header(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'{' => out.extend_from_slice(b"#7B"),
            b'|' => out.extend_from_slice(b"#7C"),
            b'}' => out.extend_from_slice(b"#7D"),
            _ => encode(&[byte], out),
        }
    }
}

/// Appends what a client sent: control characters, bytes above 126, `"` and `#` as `#` and two capital
/// hexadecimal digits.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut plain = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].first_chunk().is_some_and(is_plain) {
            at += 8;
            continue;
        }
        let end = text.len().min(at + 8);
        for (at, &byte) in (at..end).zip(&text[at..end]) {
            if needs_encoding(byte) {
                out.extend_from_slice(&text[plain..at]);
                out.extend_from_slice(&[b'#', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                plain = at + 1;
            }
        }
        at = end;
    }
    out.extend_from_slice(&text[plain..]);
}

fn needs_encoding(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'#'
}

/// Whether none of eight bytes needs encoding, all looked at at once: in what `below` makes, a byte's high bit
/// is set where it is less than the limit. A borrow may set the next byte's too, but only after a true one.
fn is_plain(bytes: &[u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(*bytes);
    let below = |limit: u64, word: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(1, word ^ (ONES * u64::from(byte)));
    (word | below(0x20, word) | equal(0x7f) | equal(b'"') | equal(b'#')) & HIGH == 0
}

/// An address and a port with a colon between them; an IPv6 address without brackets, as HAProxy has it.
fn address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            out.extend_from_slice(itoa::Buffer::new().format(a).as_bytes());
            number(b'.', b.into(), out);
            number(b'.', c.into(), out);
            number(b'.', d.into(), out);
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
    number(b':', address.port().into(), out);
}

/// A character and a number. Most numbers of a line are small, and copies of known length are cheap.
fn number(before: u8, number: i64, out: &mut Vec<u8>) {
    match number {
        0..=9 => out.extend_from_slice(&[before, b'0' + number as u8]),
        10..=99 => {
            let number = number as u8;
            out.extend_from_slice(&[before, b'0' + number / 10, b'0' + number % 10]);
        }
        -1 => out.extend_from_slice(&[before, b'-', b'1']),
        _ => {
            out.push(before);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::log::record::Tls;

    /// The example of HAProxy's manual.
    pub(in crate::log) fn example() -> Record<'static> {
        Record {
            client: Some(([10, 0, 1, 2], 33317).into()),
            local: Some(([10, 0, 1, 1], 80).into()),
            accepted: UNIX_EPOCH + Duration::from_millis(1_233_922_454_655),
            frontend: "http-in",
            tls: None,
            backend: "static",
            server: Some("srv1"),
            server_address: Some(([10, 0, 1, 3], 8080).into()),
            request_ms: 10,
            queue_ms: 0,
            connect_ms: 30,
            response_ms: 69,
            total_ms: 109,
            status: Some(200),
            bytes: 2750,
            uploaded: 80,
            termination: *b"----",
            process_connections: 1,
            frontend_connections: 1,
            backend_connections: 1,
            server_connections: 1,
            retries: 0,
            redispatched: false,
            server_queue: 0,
            backend_queue: 0,
            request_line: Some(b"GET /index.html HTTP/1.1"),
            request: None,
            response: None,
        }
    }

    fn line(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        httplog(record, &Captures::default(), &mut Dates::ahead_of_utc(0), &mut out);
        String::from_utf8(out).expect("a line is ASCII")
    }

    fn short(record: &Record<'_>) -> Option<String> {
        let mut out = Vec::new();
        connect(record, &mut out).then(|| String::from_utf8(out).expect("a line is ASCII"))
    }

    #[test]
    fn the_manuals_example() {
        assert_eq!(
            line(&example()),
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- \
             1/1/1/1/0 0/0 \"GET /index.html HTTP/1.1\""
        );
    }

    #[test]
    fn a_bad_request_has_no_line_no_server_and_no_times() {
        let record = Record {
            backend: "http-in",
            server: None,
            request_ms: -1,
            queue_ms: -1,
            connect_ms: -1,
            response_ms: -1,
            total_ms: 0,
            status: Some(400),
            bytes: 0,
            termination: *b"PR--",
            backend_connections: 0,
            server_connections: 0,
            request_line: None,
            ..example()
        };
        assert_eq!(
            line(&record),
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in http-in/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- \
             1/1/0/0/0 0/0 \"<BADREQ>\""
        );
        assert_eq!(short(&record), None);
    }

    #[test]
    fn a_client_that_left_before_the_answer_has_no_status() {
        let record = Record {
            response_ms: -1,
            total_ms: 200,
            status: None,
            bytes: 0,
            termination: *b"CDNN",
            ..example()
        };
        assert!(line(&record).contains(" 10/0/30/-1/200 -1 0 - - CDNN "));
    }

    #[test]
    fn a_redispatch_shows_as_a_plus_before_the_retries() {
        let record =
            Record { retries: 3, redispatched: true, server_queue: 4, backend_queue: 5, ..example() };
        assert!(line(&record).contains(" 1/1/1/1/+3 4/5 "));
    }

    #[test]
    fn tls_shows_as_a_tilde() {
        let tls = Tls {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            name: None,
            protocol: None,
            client: None,
        };
        assert!(line(&Record { tls: Some(tls), ..example() }).contains("] http-in~ static/srv1 "));
    }

    #[test]
    fn clients_by_ipv6_and_unix_sockets() {
        let v6 = |text: &str| Record { client: text.parse().ok(), ..example() };
        assert!(line(&v6("[::1]:51006")).starts_with("::1:51006 ["));
        assert!(line(&v6("[::ffff:127.0.0.1]:47380")).starts_with("::ffff:127.0.0.1:47380 ["));
        assert!(line(&Record { client: None, local: None, ..example() }).starts_with("unix:1 [06/Feb"));
    }

    #[test]
    fn without_httplog_only_the_ends_are_named() {
        assert_eq!(
            short(&example()).as_deref(),
            Some("Connect from 10.0.1.2:33317 to 10.0.1.1:80 (http-in/HTTP)")
        );
        let unix = Record { client: None, local: None, ..example() };
        assert_eq!(short(&unix).as_deref(), Some("Connect to unix:1 (http-in/HTTP)"));
    }

    #[test]
    fn what_a_client_sent_is_encoded() {
        for (sent, logged) in [
            (&b"/a\"y"[..], "/a#22y"),
            (b"/a#y", "/a#23y"),
            (b"/a\x7fy", "/a#7Fy"),
            (b"/a\x80\xff", "/a#80#FF"),
            (b"\x00\n\r\x1f\x1b", "#00#0A#0D#1F#1B"),
            (b"/\\{}[]<>|`^'%~ !", "/\\{}[]<>|`^'%~ !"),
            (b"", ""),
        ] {
            let mut out = Vec::new();
            encode(sent, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), logged);
        }
    }

    #[test]
    fn a_long_request_line_is_cut_before_it_is_encoded() {
        let long = [b"GET /".as_slice(), &[0xc3; 2000], b" HTTP/1.1"].concat();
        let line = line(&Record { request_line: Some(&long), ..example() });
        assert_eq!(line.matches("#C3").count(), 1018);
        assert!(line.ends_with("#C3\""));
    }

    proptest! {
        #[test]
        fn eight_bytes_are_plain_where_each_is(bytes in any::<[u8; 8]>()) {
            prop_assert_eq!(is_plain(&bytes), !bytes.into_iter().any(needs_encoding));
        }

        #[test]
        fn nearly_plain_bytes_are_told_apart(bytes in proptest::array::uniform8(0x1e_u8..=0x80)) {
            prop_assert_eq!(is_plain(&bytes), !bytes.into_iter().any(needs_encoding));
        }

        #[test]
        fn encoding_is_byte_by_byte(sent in proptest::collection::vec(0x1c_u8..=0x82, 0..64)) {
            let mut out = Vec::new();
            encode(&sent, &mut out);
            let expected: String = sent
                .iter()
                .map(|&byte| if needs_encoding(byte) { format!("#{byte:02X}") } else { char::from(byte).into() })
                .collect();
            prop_assert_eq!(String::from_utf8_lossy(&out), expected);
        }

        #[test]
        fn a_line_is_one_line_of_printable_text(sent in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let line = line(&Record { request_line: Some(&sent), ..example() });
            prop_assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            // Two quotes, both ours: nobody can end the field from within.
            prop_assert_eq!(line.bytes().filter(|&byte| byte == b'"').count(), 2);
        }
    }
}

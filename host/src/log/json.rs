//! An exchange's line as an object of JSON, written by hand into the worker's buffer: nothing is allocated, and
//! whatever bytes clients and servers send, it parses (RFC 8259).
//!
//! What is UTF-8 stays as it is, control characters are escaped, and each byte that is no part of a character
//! becomes U+FFFD.

use std::net::{IpAddr, SocketAddr};

use super::captured;
use super::date::Dates;
use super::httplog::REQUEST_LINE_MAX;
use super::record::Record;
use crate::config::model::{Capture, Captures};
use crate::http::head::{Lines, RequestHead};

/// Writes the object in place of what `out` holds. Where it is longer than `room`, values that come from clients
/// and servers are shortened, by halves, until it is not or nothing is left of them.
pub(super) fn write(
    record: &Record<'_>,
    captures: &Captures,
    room: usize,
    dates: &mut Dates,
    out: &mut Vec<u8>,
) {
    let mut longest = REQUEST_LINE_MAX.max(4_096);
    loop {
        out.clear();
        Object { out, longest }.exchange(record, captures, dates);
        if out.len() <= room || longest == 0 {
            return;
        }
        longest /= 2;
    }
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// The most bytes that are looked at of a text that somebody sent.
    longest: usize,
}

impl Object<'_> {
    fn exchange(&mut self, record: &Record<'_>, captures: &Captures, dates: &mut Dates) {
        self.out.extend_from_slice(b"{\"time\":\"");
        dates.utc(record.accepted, self.out);
        self.out.push(b'"');
        self.address(record.client);
        self.name("frontend", Some(record.frontend));
        self.name("backend", Some(record.backend));
        self.name("server", record.server);
        self.request(record);
        self.optional("status", record.status.map(i64::from));
        self.number("bytes", record.bytes as i64);
        self.out.extend_from_slice(b",\"termination\":\"");
        self.out.extend_from_slice(&record.termination);
        self.out.push(b'"');
        for (name, ms) in [
            ("request_ms", record.request_ms),
            ("queue_ms", record.queue_ms),
            ("connect_ms", record.connect_ms),
            ("response_ms", record.response_ms),
            ("total_ms", record.total_ms),
        ] {
            self.optional(name, Some(ms).filter(|ms| *ms >= 0));
        }
        for (name, count) in [
            ("process_connections", record.process_connections),
            ("frontend_connections", record.frontend_connections),
            ("backend_connections", record.backend_connections),
            ("server_connections", record.server_connections),
            ("retries", record.retries),
            ("server_queue", record.server_queue),
            ("backend_queue", record.backend_queue),
        ] {
            self.number(name, count.into());
        }
        self.out.extend_from_slice(b",\"redispatched\":");
        self.out.extend_from_slice(if record.redispatched { b"true" } else { b"false" });
        self.tls(record);
        self.captures(record, captures);
        self.out.push(b'}');
    }

    /// Method, target, version and host.
    fn request(&mut self, record: &Record<'_>) {
        let parts = record.request_parts();
        for (index, name) in ["method", "uri", "http_version"].into_iter().enumerate() {
            self.sent(name, parts.map(|parts| parts[index]));
        }
        let host = record.request.map(RequestHead::authority).filter(|authority| !authority.is_empty());
        self.sent("host", host);
    }

    fn tls(&mut self, record: &Record<'_>) {
        let Some(tls) = &record.tls else { return };
        self.name("tls_version", Some(tls.version));
        self.name("tls_cipher", Some(tls.cipher));
        self.sent("tls_sni", tls.name.map(str::as_bytes));
        self.sent("tls_alpn", tls.protocol);
        self.sent("tls_client", tls.client.map(str::as_bytes));
    }

    fn captures(&mut self, record: &Record<'_>, captures: &Captures) {
        self.headers("request_headers", &captures.request, record.request.map(|head| head.lines()));
        self.headers("response_headers", &captures.response, record.response.map(|head| head.lines()));
        if let Some(capture) = &captures.cookie {
            self.sent("request_cookie", captured::request_cookie(record, capture));
            self.sent("response_cookie", captured::response_cookie(record, capture));
        }
    }

    /// An object of its own, with a member for each captured header.
    fn headers(&mut self, name: &str, captures: &[Capture], lines: Option<&Lines>) {
        if captures.is_empty() {
            return;
        }
        self.member(name);
        for (index, capture) in captures.iter().enumerate() {
            self.out.push(if index == 0 { b'{' } else { b',' });
            text(capture.name.as_bytes(), self.out);
            self.out.push(b':');
            self.value(captured::header(lines, capture));
        }
        self.out.push(b'}');
    }

    fn member(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text of ours.
    fn name(&mut self, name: &str, value: Option<&str>) {
        self.member(name);
        match value {
            Some(value) => text(value.as_bytes(), self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A text that somebody sent.
    fn sent(&mut self, name: &str, value: Option<&[u8]>) {
        self.member(name);
        self.value(value);
    }

    fn value(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => text(&value[..value.len().min(self.longest)], self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    fn number(&mut self, name: &str, value: i64) {
        self.optional(name, Some(value));
    }

    fn optional(&mut self, name: &str, value: Option<i64>) {
        self.member(name);
        match value {
            Some(value) => self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// The client's address; `null` on a Unix socket.
    fn address(&mut self, client: Option<SocketAddr>) {
        self.member("client_ip");
        match client.map(|client| client.ip()) {
            Some(ip) => {
                self.out.push(b'"');
                ip_address(ip, self.out);
                self.out.push(b'"');
            }
            None => self.out.extend_from_slice(b"null"),
        }
        self.optional("client_port", client.map(|client| client.port().into()));
    }
}

/// Writes an IP address.
pub(super) fn ip_address(ip: IpAddr, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{ip}");
}

/// Writes a string between quotes.
fn text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        let mut plain = 0;
        for (at, &byte) in valid.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..=0x1f | 0x7f => b"",
                _ => continue,
            };
            out.extend_from_slice(&valid[plain..at]);
            if escape.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            } else {
                out.extend_from_slice(escape);
            }
            plain = at + 1;
        }
        out.extend_from_slice(&valid[plain..]);
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::head::{RequestHead, ResponseHead};
    use crate::http::parse;
    use crate::log::httplog::tests::example;
    use crate::log::record::Tls;

    fn line(record: &Record<'_>, captures: &Captures, room: usize) -> (Value, usize) {
        let mut out = b"what was there".to_vec();
        write(record, captures, room, &mut Dates::ahead_of_utc(3_600), &mut out);
        let value = serde_json::from_slice(&out).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&out));
        });
        (value, out.len())
    }

    fn capture(name: &str, length: usize) -> Capture {
        Capture { name: name.into(), length }
    }

    #[test]
    fn a_line_has_every_field() {
        let mut request = RequestHead::default();
        let text =
            b"GET /index.html HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\nCookie: A=1; SID=abcdef\r\n\r\n";
        parse::request(text, 101, &mut request).unwrap().unwrap();
        let mut response = ResponseHead::default();
        parse::response(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: \"2\"\r\n\r\n", 101, false, &mut response)
            .unwrap()
            .unwrap();
        let captures = Captures {
            request: vec![capture("user-agent", 4), capture("referer", 9)],
            response: vec![capture("x-a", 9)],
            cookie: Some(capture("SID", 7)),
        };
        let tls = Tls {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            name: Some("x"),
            protocol: Some(b"h2"),
            client: None,
        };
        let record =
            Record { request: Some(&request), response: Some(&response), tls: Some(tls), ..example() };
        let expected = json!({
            "time": "2009-02-06T12:14:14.655Z", "client_ip": "10.0.1.2", "client_port": 33317,
            "frontend": "http-in", "backend": "static", "server": "srv1",
            "method": "GET", "uri": "/index.html", "http_version": "HTTP/1.1", "host": "x",
            "status": 200, "bytes": 2750, "termination": "----",
            "request_ms": 10, "queue_ms": 0, "connect_ms": 30, "response_ms": 69, "total_ms": 109,
            "process_connections": 1, "frontend_connections": 1, "backend_connections": 1,
            "server_connections": 1, "retries": 0, "server_queue": 0, "backend_queue": 0,
            "redispatched": false,
            "tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256", "tls_sni": "x",
            "tls_alpn": "h2", "tls_client": null,
            "request_headers": {"user-agent": "curl", "referer": null},
            "response_headers": {"x-a": "\"2\""},
            "request_cookie": "SID=abc", "response_cookie": null,
        });
        assert_eq!(line(&record, &captures, 8_192).0, expected);
    }

    #[test]
    fn what_was_not_reached_is_null() {
        let record = Record {
            client: None,
            server: None,
            request_ms: -1,
            status: None,
            request_line: None,
            ..example()
        };
        let (line, _) = line(&record, &Captures::default(), 8_192);
        for name in ["client_ip", "client_port", "server", "request_ms", "status", "method", "uri", "host"] {
            assert_eq!(line[name], Value::Null, "{name}");
        }
        assert!(line.get("tls_version").is_none() && line.get("request_headers").is_none());
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let record =
            Record { request_line: Some(b"GET /\xff\xc3(\xe2\x82\x1b\xe2\x82\xac HTTP/1.1"), ..example() };
        let (line, _) = line(&record, &Captures::default(), 8_192);
        assert_eq!(line["uri"], "/\u{fffd}\u{fffd}(\u{fffd}\u{fffd}\u{1b}\u{20ac}");
    }

    #[test]
    fn a_line_that_is_too_long_has_shorter_values_and_is_still_whole() {
        let long = [b"GET /".as_slice(), &[0x01; 3000], b" HTTP/1.1"].concat();
        let record = Record { request_line: Some(&long), ..example() };
        let (value, length) = line(&record, &Captures::default(), 2_000);
        assert!(length <= 2_000, "{length}");
        assert!(value["uri"].as_str().is_some_and(|uri| uri.starts_with("/\u{1}") && uri.len() >= 100));
        let (value, _) = line(&record, &Captures::default(), 80);
        assert_eq!((value["uri"].as_str(), value["status"].as_u64()), (Some(""), Some(200)));
    }

    proptest! {
        #[test]
        fn a_line_is_json_whatever_is_sent(
            sent in proptest::collection::vec(any::<u8>(), 0..600),
            room in 0_usize..3_000,
        ) {
            let record = Record { request_line: Some(&sent), ..example() };
            let mut out = Vec::new();
            write(&record, &Captures::default(), room, &mut Dates::ahead_of_utc(0), &mut out);
            let value: Value = serde_json::from_slice(&out).expect("it is JSON");
            prop_assert_eq!(value["status"].as_u64(), Some(200));
            prop_assert!(out.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f));
        }

        #[test]
        fn a_header_is_json_whatever_it_holds(sent in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            text(&sent, &mut out);
            let back: String = serde_json::from_slice(&out).expect("it is JSON");
            if let Ok(plain) = std::str::from_utf8(&sent) {
                prop_assert_eq!(back, plain);
            }
        }
    }
}

//! From a response's head to a header block.

use super::hpack::{write_field, write_joined_field, write_status};
use crate::http::head::{HeadSink, Known, ResponseHead};

/// A response's header block on its way. What belongs to a connection of HTTP/1 is left out (RFC 9113, section 8.2.2).
#[derive(Debug)]
pub(crate) struct Block<'o> {
    out: &'o mut Vec<u8>,
    /// Whether bytes of which nothing is known follow both ways.
    is_tunnel: bool,
}

/// What has no meaning where there was no `sec-websocket-key` (RFC 8441, section 5).
const ACCEPT: &[u8] = b"sec-websocket-accept";

impl<'o> Block<'o> {
    /// A block that is appended to `out`.
    pub(crate) fn new(is_tunnel: bool, out: &'o mut Vec<u8>) -> Block<'o> {
        Block { out, is_tunnel }
    }

    fn goes(&self, name: &[u8], known: Known) -> bool {
        let is_of_http1 = matches!(
            known,
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::TransferEncoding
                | Known::Upgrade
                | Known::Te
        );
        !is_of_http1 && !(self.is_tunnel && (known == Known::ContentLength || name == ACCEPT))
    }
}

impl HeadSink for Block<'_> {
    fn status(&mut self, head: &ResponseHead) {
        // There is no switching of protocols: a tunnel stands with any 2xx.
        let status = if self.is_tunnel && head.status == 101 { 200 } else { head.status };
        write_status(status, self.out);
    }

    fn field(&mut self, name: &[u8], known: Known, value: [&[u8]; 2]) {
        if self.goes(name, known) {
            write_joined_field(name, value, self.out);
        }
    }

    fn end(&mut self) {}
}

/// Writes trailers, which are lines of HTTP/1 with names in lower case, as a block.
pub(super) fn write_trailers(lines: &[u8], out: &mut Vec<u8>) {
    for line in lines.split(|byte| *byte == b'\n') {
        if let Some(colon) = memchr::memchr(b':', line) {
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            write_field(name, value, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;
    use crate::http2::hpack::Decoder;

    fn read(block: &[u8]) -> String {
        let mut lines = String::new();
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        let each = |name: &[u8], value: &[u8]| lines.push_str(&format!("{}: {}\n", text(name), text(value)));
        Decoder::default().read(block, each).unwrap();
        lines
    }

    fn written(text: &str, is_tunnel: bool) -> String {
        let (mut head, mut out) = (ResponseHead::default(), Vec::new());
        parse::response(text.as_bytes(), 101, false, &mut head).unwrap().unwrap();
        let mut block = Block::new(is_tunnel, &mut out);
        block.status(&head);
        head.lines().iter().for_each(|line| block.line(&line));
        block.end();
        read(&out)
    }

    #[test]
    fn what_belongs_to_a_connection_of_http_1_is_left_out() {
        let text = "HTTP/1.1 302 Found\r\nConnection: close\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\
                    Set-Cookie: a\r\nSet-Cookie: b\r\nTE: trailers\r\n\r\n";
        assert_eq!(written(text, false), ":status: 302\nx-a: 1\nset-cookie: a\nset-cookie: b\n");
    }

    #[test]
    fn a_tunnel_stands_with_200_and_has_no_length() {
        let text = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\
                    Content-Length: 5\r\nX-A: 1\r\n\r\n";
        assert_eq!(written(text, true), ":status: 200\nx-a: 1\n");
    }

    #[test]
    fn trailers_are_fields() {
        let mut out = Vec::new();
        write_trailers(b"grpc-status: 0\r\nx-empty: \r\n", &mut out);
        assert_eq!(read(&out), "grpc-status: 0\nx-empty: \n");
    }
}

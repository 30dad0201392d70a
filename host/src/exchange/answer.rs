//! Answers given in a server's place: redirects and fixed answers.

use std::sync::Arc;

use crate::failure::Connection;
use crate::http::head::write_line;

/// An answer of our own.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// The phrase behind the status.
    pub(super) reason: &'static str,
    /// Its header lines, names in lower case, less those about its length and the connection.
    pub(super) headers: Vec<(Box<str>, Vec<u8>)>,
    /// Its body.
    pub(super) body: Arc<[u8]>,
    /// The first two characters of the log's termination state: who ended the exchange, and in which phase.
    pub(super) termination: [u8; 2],
}

impl Answer {
    /// Its bytes; its head alone as the answer to HEAD.
    pub(super) fn response(&self, connection: Connection, head_only: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.body.len());
        out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", self.status, self.reason).as_bytes());
        // The length that a 304 says is that of the answer that it stands for (RFC 9110, section 8.6): caches would take
        // it over.
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        if !bodiless {
            write_line(b"content-length", self.body.len().to_string().as_bytes(), &mut out);
        }
        for (name, value) in &self.headers {
            write_line(name.as_bytes(), value, &mut out);
        }
        match connection {
            Connection::Close => write_line(b"connection", b"close", &mut out),
            Connection::Keep => {}
            Connection::KeepAlive => write_line(b"connection", b"keep-alive", &mut out),
        }
        out.extend_from_slice(b"\r\n");
        if !head_only && !bodiless {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_whole_response() {
        let answer = Answer {
            status: 302,
            reason: "Found",
            headers: vec![("location".into(), b"https://a.example/".to_vec())],
            body: Arc::from(*b"gone"),
            termination: *b"LR",
        };
        let text = |connection, head_only| String::from_utf8(answer.response(connection, head_only)).unwrap();
        let head = "HTTP/1.1 302 Found\r\ncontent-length: 4\r\nlocation: https://a.example/\r\n";
        assert_eq!(text(Connection::Keep, false), format!("{head}\r\ngone"));
        assert_eq!(text(Connection::Close, false), format!("{head}connection: close\r\n\r\ngone"));
        assert_eq!(text(Connection::KeepAlive, true), format!("{head}connection: keep-alive\r\n\r\n"));
        let empty = Answer { status: 204, reason: "No Content", headers: Vec::new(), ..answer };
        let bytes = empty.response(Connection::Keep, false);
        assert_eq!(String::from_utf8(bytes).unwrap(), "HTTP/1.1 204 No Content\r\n\r\n");
    }

    #[test]
    fn an_answer_without_a_body_says_no_length() {
        for status in [103, 204, 304] {
            let headers = vec![("etag".into(), b"\"x\"".to_vec())];
            let answer =
                Answer { status, reason: "None", headers, body: Arc::from(*b"x"), termination: *b"LR" };
            let text = format!("HTTP/1.1 {status} None\r\netag: \"x\"\r\n\r\n");
            assert_eq!(String::from_utf8(answer.response(Connection::Keep, false)).unwrap(), text);
        }
    }
}

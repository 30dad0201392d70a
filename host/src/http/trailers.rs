//! Trailers: the header lines behind a chunked body (RFC 9110, section 6.5). They are read as strictly as a head, line by
//! line as they come, and go on without those that have no business there.
//!
//! A server, or what stands behind it, may add trailers to the head. So nothing may come by them that decides where a
//! message ends, where it goes or who sent it: those fields are left out here, as a head's lines of one hop are.

use super::head::write_line;
use super::names;
use super::semantics::{Malformed, is_field_value, is_token};

/// The most bytes of trailers, with their line ends and the blank line: as many as of a head, usually.
const MAX_BYTES: usize = 16 * 1024;
/// The most lines.
const MAX_LINES: usize = 64;

/// Who sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A client: what it sends is read by servers.
    Client,
    /// A server.
    Server,
}

/// Trailers that are being read.
#[derive(Debug, PartialEq, Eq)]
pub struct Trailers {
    sender: Sender,
    /// Names whose lines stay behind, beside those that always do; in lower case.
    withheld: Vec<Box<str>>,
    /// Whole lines that go on.
    lines: Vec<u8>,
    /// What has come of a line that is not whole.
    part: Vec<u8>,
    /// How many bytes and lines have come, those that stay behind among them.
    bytes: usize,
    count: usize,
}

impl Trailers {
    /// Those of a body from this sender.
    pub fn new(sender: Sender) -> Trailers {
        let (lines, part) = (Vec::new(), Vec::new());
        Trailers { sender, withheld: Vec::new(), lines, part, bytes: 0, count: 0 }
    }

    /// Has lines of this name, which is in lower case, stay behind as well.
    pub fn withhold(&mut self, name: &str) {
        self.withheld.push(name.into());
    }

    /// Takes what has come, each byte once. Answers how many bytes belong to the trailers, and whether the blank line
    /// that ends them is among those.
    ///
    /// # Errors
    /// Where a line is none (RFC 9112, sections 5 and 7.1.2), or there are too many.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            self.bytes += end;
            if self.bytes > MAX_BYTES {
                return Err(Malformed("trailers that are too long"));
            }
            used += end;
            let piece = &rest[..end];
            if !piece.ends_with(b"\n") {
                self.part.extend_from_slice(piece);
                return Ok((used, false));
            }
            let mut part = std::mem::take(&mut self.part);
            let line = if part.is_empty() {
                piece
            } else {
                part.extend_from_slice(piece);
                &part
            };
            match line {
                b"\r\n" => return Ok((used, true)),
                [line @ .., b'\r', b'\n'] => self.line(line)?,
                _ => return Err(Malformed("a trailer's line end that is not CRLF")),
            }
        }
    }

    /// The lines that go on, each as `name: value` with its line end, the name in lower case. Asked for again there is
    /// nothing.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        self.count += 1;
        let colon = memchr::memchr(b':', line).ok_or(Malformed("a trailer without a colon"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if self.count > MAX_LINES || !is_token(name) || !is_field_value(&line[colon + 1..]) {
            return Err(Malformed("an invalid trailer"));
        }
        let name = name.to_ascii_lowercase();
        if !self.stays_behind(&name) {
            write_line(&name, value, &mut self.lines);
        }
        Ok(())
    }

    fn stays_behind(&self, name: &[u8]) -> bool {
        stays_behind(self.sender, name) || self.withheld.iter().any(|withheld| withheld.as_bytes() == name)
    }
}

/// Whether trailers of this name, which is in lower case, never go on.
pub fn stays_behind(sender: Sender, name: &[u8]) -> bool {
    is_of_heads(name) || (sender == Sender::Client && (!names::is_plain(name) || tells_of_the_client(name)))
}

/// Whether a field is one of those that must be known before the body comes: they frame it, send it somewhere, say who
/// asks, how and for what, or what to make of it (RFC 9110, section 6.5.1; RFC 7230, section 4.1.2, has the kinds). Those
/// of one hop end here anyway; HTTP/2 even knows none of them (RFC 9113, section 8.2.2).
fn is_of_heads(name: &[u8]) -> bool {
    matches!(
        name,
        // Framing, and one hop's.
        b"content-length" | b"transfer-encoding" | b"trailer" | b"connection" | b"keep-alive" | b"proxy-connection"
            | b"te" | b"upgrade" | b"http2-settings"
        // Routing.
            | b"host" | b"forwarded" | b"max-forwards" | b"via"
        // Who asks.
            | b"authorization" | b"proxy-authorization" | b"www-authenticate" | b"proxy-authenticate" | b"cookie"
            | b"set-cookie" | b"set-cookie2"
        // What is asked for.
            | b"expect" | b"range" | b"if-match" | b"if-none-match" | b"if-modified-since" | b"if-unmodified-since"
            | b"if-range" | b"cache-control" | b"pragma"
        // What the answer means.
            | b"age" | b"date" | b"expires" | b"location" | b"retry-after" | b"vary" | b"warning"
            | b"strict-transport-security"
        // What the body is.
            | b"content-encoding" | b"content-type" | b"content-range"
    )
}

/// Whether it is one by which proxies tell servers of the client: no client tells that itself, behind all that was
/// looked at.
fn tells_of_the_client(name: &[u8]) -> bool {
    name.starts_with(b"x-forwarded-")
        || name.starts_with(b"x-ssl-")
        || matches!(name, b"x-real-ip" | b"x-client-ip" | b"x-cluster-client-ip" | b"true-client-ip")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What goes on of trailers, and what stood behind them.
    type Read = (Vec<u8>, Vec<u8>);

    /// Reads trailers that come in these pieces; `None` where they are not whole.
    fn read<'a>(sender: Sender, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Read>, Malformed> {
        let mut trailers = Trailers::new(sender);
        let (mut rest, mut ended) = (Vec::new(), false);
        for piece in pieces {
            let mut used = 0;
            if !ended {
                (used, ended) = trailers.take(piece)?;
                assert!(ended || used == piece.len());
            }
            rest.extend_from_slice(&piece[used..]);
        }
        Ok(ended.then(|| (trailers.finish(), rest)))
    }

    fn passed(sender: Sender, text: &str) -> Option<String> {
        let whole = read(sender, [text.as_bytes()].into_iter()).ok()??;
        Some(String::from_utf8(whole.0).unwrap())
    }

    #[test]
    fn sound_lines_go_on_tidy() {
        let text = "Sum:1\r\nX-A:  b c\t\r\ngrpc-status: 0\r\nEmpty:\r\n\r\n";
        let tidy = "sum: 1\r\nx-a: b c\r\ngrpc-status: 0\r\nempty: \r\n";
        for sender in [Sender::Client, Sender::Server] {
            assert_eq!(passed(sender, text).as_deref(), Some(tidy));
            assert_eq!(passed(sender, "\r\n").as_deref(), Some(""));
            assert_eq!(passed(sender, "a: b\r\n"), None);
        }
    }

    #[test]
    fn what_frames_routes_or_vouches_stays_behind() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "TRAILER",
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "TE",
            "Upgrade",
            "HTTP2-Settings",
            "Host",
            "Forwarded",
            "Authorization",
            "Cookie",
            "Set-Cookie",
            "Content-Type",
            "Content-Encoding",
            "Expect",
            "Range",
            "Proxy-Authorization",
            "WWW-Authenticate",
            "Location",
        ] {
            for sender in [Sender::Client, Sender::Server] {
                assert_eq!(
                    passed(sender, &format!("{name}: 5\r\nX-A: 1\r\n\r\n")).as_deref(),
                    Some("x-a: 1\r\n")
                );
            }
        }
        for name in ["X_Sum", "X-Forwarded-For", "X_Forwarded_For", "X-SSL-Client-CN", "x.y", "X-Real-IP"] {
            let text = format!("{name}: 5\r\n\r\n");
            assert_eq!(passed(Sender::Client, &text).as_deref(), Some(""), "{name}");
            assert_ne!(passed(Sender::Server, &text).as_deref(), Some(""), "{name}");
        }
    }

    #[test]
    fn names_that_are_withheld_stay_behind() {
        let mut trailers = Trailers::new(Sender::Server);
        trailers.withhold("x-own");
        assert_eq!(trailers.take(b"X-Own: 1\r\nX-A: 2\r\n\r\n"), Ok((20, true)));
        assert_eq!(trailers.finish(), b"x-a: 2\r\n");
        assert!(trailers.finish().is_empty());
    }

    #[test]
    fn lines_that_are_none_are_refused() {
        let long = format!("a: {}\r\n\r\n", "b".repeat(MAX_BYTES));
        let many = "a: b\r\n".repeat(MAX_LINES + 1);
        for text in [
            "a: b\n\r\n",
            "a: b\r\n\n",
            "\n",
            "a: b\nc: d\r\n\r\n",
            "word\r\n\r\n",
            ": b\r\n\r\n",
            "a : b\r\n\r\n",
            " a: b\r\n\r\n",
            "a: b\r\n c\r\n\r\n",
            "a: b\rc\r\n\r\n",
            "a: b\0\r\n\r\n",
            "a(: b\r\n\r\n",
            "a: b\r\r\n",
            ":path: /\r\n\r\n",
            "a: \x7f\r\n\r\n",
            "content-length: b\x01\r\n\r\n",
            &long,
            &many,
        ] {
            assert!(
                read(Sender::Client, [text.as_bytes()].into_iter()).is_err(),
                "{:?}",
                &text[..text.len().min(40)]
            );
        }
        let most = "a: b\r\n".repeat(MAX_LINES) + "\r\n";
        assert!(passed(Sender::Client, &most).is_some());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_read_the_same(
            lines in proptest::collection::vec("[a-zA-Z_-]{0,4}[: ]{0,2}[a-z\t ]{0,5}(\r\n|\r\n|\r\n|\n|\r|)", 0..6),
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let text = lines.concat() + "\r\n\r\nrest";
            let whole = read(Sender::Client, [text.as_bytes()].into_iter());
            let single = read(Sender::Client, text.as_bytes().chunks(1));
            prop_assert_eq!(&whole, &single);
            let mut at: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let cut = read(Sender::Client, at.windows(2).map(|two| &text.as_bytes()[two[0]..two[1]]));
            prop_assert_eq!(whole, cut);
        }

        #[test]
        fn what_goes_on_is_read_again_as_it_is(bytes in "([a-zA-Z_-]{1,4}: ?[ -~\t]{0,9}\r\n){0,5}") {
            let text = bytes + "\r\n";
            if let Some(first) = passed(Sender::Client, &text) {
                let again = passed(Sender::Client, &(first.clone() + "\r\n"));
                prop_assert_eq!(again, Some(first));
            }
        }
    }
}

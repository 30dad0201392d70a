//! Heads, bodies and cookies from the network: what is accepted is one thing, however it arrives, whoever reads it.

use super::Target;
use crate::exchange;
use crate::http::body::{Decoder, Encoding, Piece, write_data, write_end};
use crate::http::cookies;
use crate::http::head::{Framing, RequestHead, ResponseHead};
use crate::http::semantics::Malformed;
use crate::http::trailers::Sender;
use crate::http::{names, parse};

pub(super) const REQUEST: Target = Target::new(
    "request",
    &[
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        " ",
        ": ",
        ", ",
        "\t",
        "GET ",
        "POST ",
        "HEAD ",
        "CONNECT ",
        "OPTIONS ",
        "PRI ",
        "/",
        "* ",
        "http://",
        "https://",
        "://",
        "?a=b",
        "#",
        "@",
        "user@",
        ":80",
        ":443",
        ":",
        "[::1]",
        "[",
        "]",
        "%2f",
        "example.test",
        "EXAMPLE.test",
        "other.test",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/2.0\r\n",
        "HTTP/1.1",
        "Host: example.test\r\n",
        "Host: ",
        "host:",
        "Content-Length: 5\r\n",
        "Content-Length: ",
        "content_length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: ",
        "transfer_encoding: chunked\r\n",
        "chunked",
        "gzip",
        "identity",
        "Connection: ",
        "close",
        "keep-alive",
        "upgrade",
        "Upgrade: ",
        "websocket",
        "h2c",
        "h2c/1",
        "TE: trailers\r\n",
        "Trailer: x\r\n",
        "Expect: 100-continue\r\n",
        "Cookie: a=b; c=d\r\n",
        "Keep-Alive: 5\r\n",
        "Proxy-Connection: close\r\n",
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X_Forwarded_For: 192.0.2.1\r\n",
        "X-A: b\r\n",
        "X-A : b\r\n",
        "X-A:\r\n",
        " x\r\n",
        "\r\n\tx\r\n",
        "GET / HTTP/1.1\r\n",
        "0",
        "5, 5",
        "+5",
        "99999999999999999999",
        "\u{0}",
        "\u{7f}",
        "é",
    ],
    request,
);

pub(super) const RESPONSE: Target = Target::new(
    "response",
    &[
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        " ",
        ": ",
        ", ",
        "\t",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 ",
        "HTTP/1.0 ",
        "HTTP/1.1",
        "100",
        "101",
        "103",
        "200",
        "204",
        "206",
        "304",
        "401",
        "426",
        "099",
        "2000",
        " OK",
        " OK\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: ",
        "5, 5",
        "+0",
        "0",
        "5",
        "99999999999999999999",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: ",
        "chunked",
        "identity",
        "gzip, chunked",
        "Connection: ",
        "close",
        "keep-alive",
        "upgrade",
        "Upgrade: ",
        "websocket",
        "h2c",
        "Set-Cookie: a=b; path=/\r\n",
        "Keep-Alive: timeout=5\r\n",
        "WWW-Authenticate: NTLM\r\n",
        "X-A: b\r\n",
        "X-A : b\r\n",
        "X-A:\r\n",
        " x\r\n",
        "\u{0}",
        "\u{7f}",
        "é",
    ],
    response,
);

pub(super) const CHUNKED: Target = Target::new(
    "chunked",
    &[
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "0\r\n\r\n",
        "0\r\n",
        "5\r\nhello\r\n",
        "5\r\n",
        "hello",
        "hello\r\n",
        "a\r\n",
        "00000",
        "0x5",
        "+5",
        "fffffffffffffff\r\n",
        "ffffffffffffffff\r\n",
        ";",
        ";x=y",
        ";x=\"\r\n\"",
        " ",
        "\t",
        "X-A: b\r\n",
        "X-A : b\r\n",
        "X_A: b\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: evil.test\r\n",
        "GET / HTTP/1.1\r\n",
        " x\r\n",
        ": ",
        "\u{0}",
        "é",
    ],
    chunked,
);

pub(super) const COOKIES: Target = Target::new(
    "cookies",
    &["S", "S=a", "S = a", "T=b", "; ", ";", ", ", ",", "=", "\"", "\\", "$Path=/", " ", "\t", "SS=a", "S="],
    cookie_line,
);

/// As many lines as the default configuration lets in.
pub(super) const MOST_LINES: usize = 101;

pub(super) fn request(bytes: &[u8]) {
    let mut head = RequestHead::default();
    let Ok(Some(length)) = parse::request(bytes, MOST_LINES, &mut head) else { return };
    let whole = &bytes[..length];
    // It does not depend on what follows, and no part of it is taken for a whole one, or refused.
    assert!(
        matches!(parse::request(whole, MOST_LINES, &mut RequestHead::default()), Ok(Some(l)) if l == length)
    );
    for cut in cuts(length) {
        let part = parse::request(&bytes[..cut], MOST_LINES, &mut RequestHead::default());
        assert_eq!(part, Ok(None), "{} of {length} bytes", cut);
    }
    // What the default does with the others, so that nobody behind a gateway reads `content_length`.
    head.retain(names::is_plain);
    let written = exchange::head_for_server(&head);
    let lines = plain_lines(&written);
    assert_eq!(framing_by_anyone(&lines), head.framing, "{}", shown(&written));
    assert!(lines.iter().filter(|(name, _)| name == "host").count() <= 1, "{}", shown(&written));
    let ends_here = ["proxy-connection", "keep-alive", "http2-settings"];
    assert!(!lines.iter().any(|(name, _)| ends_here.contains(&&**name)), "{}", shown(&written));
    // What a server reads is what was read here, and passing it on once more changes nothing.
    let mut again = RequestHead::default();
    let read = parse::request(&written, MOST_LINES, &mut again);
    assert_eq!(read, Ok(Some(written.len())), "{}", shown(&written));
    assert_eq!(
        (again.method(), again.path(), again.query(), again.authority(), again.framing, again.upgrade),
        (head.method(), head.path(), head.query(), head.authority(), head.framing, head.upgrade),
        "{}",
        shown(&written)
    );
    assert_eq!(exchange::head_for_server(&again), written, "{}", shown(&written));
}

fn response(bytes: &[u8]) {
    let mut head = ResponseHead::default();
    let Ok(Some(length)) = parse::response(bytes, MOST_LINES, false, &mut head) else { return };
    for cut in cuts(length) {
        let part = parse::response(&bytes[..cut], MOST_LINES, false, &mut ResponseHead::default());
        assert_eq!(part, Ok(None), "{} of {length} bytes", cut);
    }
    let written = exchange::head_for_client(&head);
    let lines = plain_lines(&written);
    let mut again = ResponseHead::default();
    let read = parse::response(&written, MOST_LINES, false, &mut again);
    assert_eq!(read, Ok(Some(written.len())), "{}", shown(&written));
    assert_eq!(
        (again.status, again.framing, again.reason()),
        (head.status, head.framing, head.reason()),
        "{}",
        shown(&written)
    );
    let bodyless = matches!(head.status, 100..=199 | 204 | 304);
    match framing_by_anyone(&lines) {
        // Without a line, an answer's body goes up to the end.
        Framing::None => {
            assert!(bodyless || matches!(head.framing, Framing::Close | Framing::None), "{}", shown(&written))
        }
        framing => assert!(bodyless || framing == head.framing, "{}", shown(&written)),
    }
    assert_eq!(exchange::head_for_client(&again), written, "{}", shown(&written));
}

/// What was read: the body, the trailers, and how many bytes were used.
type Decoded = (Vec<u8>, Vec<u8>, usize);

fn chunked(bytes: &[u8]) {
    for sender in [Sender::Client, Sender::Server] {
        chunked_from(sender, bytes);
    }
}

fn chunked_from(sender: Sender, bytes: &[u8]) {
    let whole = decode(sender, bytes, usize::MAX);
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(decode(sender, bytes, step), whole, "{step} bytes at a time");
    }
    let Some(Some((body, trailers, used))) = whole.ok() else { return };
    assert!(used <= bytes.len());
    for line in trailers.split_inclusive(|b| *b == b'\n') {
        let name = memchr::memchr(b':', line).expect("a colon");
        assert!(name > 0 && line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r'));
        assert!(sender == Sender::Server || names::is_plain(&line[..name]), "{}", shown(line));
        let decides =
            ["content-length", "transfer-encoding", "host", "authorization", "connection", "set-cookie"];
        assert!(
            !decides.iter().any(|field| line[..name].eq_ignore_ascii_case(field.as_bytes())),
            "{}",
            shown(line)
        );
    }
    // Written anew it is the same.
    let mut written = Vec::new();
    write_data(Encoding::Chunked, &body, &mut written);
    write_end(Encoding::Chunked, &trailers, &mut written);
    let (again, left, all) =
        decode(sender, &written, usize::MAX).ok().flatten().expect("what was written is read");
    assert_eq!((again, all, left), (body, written.len(), trailers));
}

/// Reads a chunked body that arrives so many bytes at a time: `None` where it is not whole.
fn decode(sender: Sender, bytes: &[u8], step: usize) -> Result<Option<Decoded>, Malformed> {
    let mut decoder = Decoder::new(Framing::Chunked, sender);
    let (mut body, mut at, mut seen) = (Vec::new(), 0, 0);
    loop {
        match decoder.next(&bytes[at..seen])? {
            Piece::Data { range, used } => {
                body.extend_from_slice(&bytes[at..][range]);
                at += used;
            }
            Piece::End { used } => return Ok(Some((body, decoder.trailers().to_vec(), at + used))),
            Piece::More if seen == bytes.len() => return Ok(None),
            Piece::More => seen = seen.saturating_add(step).min(bytes.len()),
        }
    }
}

fn cookie_line(line: &[u8]) {
    if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return;
    }
    let mut end = 0;
    let count = cookies::pairs(line)
        .inspect(|pair| {
            assert!(end <= pair.start && pair.start < pair.end && pair.end <= line.len());
            end = pair.end;
        })
        .filter(|pair| pair.name != b"S")
        .count();
    let mut left = Vec::new();
    cookies::cut(line, b"S", &mut left);
    assert!(cookies::pairs(&left).all(|pair| pair.name != b"S"), "{}", shown(&left));
    let kept = cookies::pairs(&left).count();
    // What begins with `$` goes with the cookie that it describes.
    assert!(kept <= count, "{}", shown(&left));
    let mut again = Vec::new();
    cookies::cut(&left, b"S", &mut again);
    assert_eq!(again.trim_ascii(), left.trim_ascii());
}

/// Some places to cut so many bytes at: all of a short text, and the last ones of a long one.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |cut| *cut < 64 || length - cut < 64 || cut.is_multiple_of(61))
}

/// The lines of a head as the most lenient of readers sees them: line ends of any kind, names in any case, `_` for `-`.
fn plain_lines(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    assert!(!text.contains('\0'), "{text:?}");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    assert_eq!(text.matches('\r').count(), text.matches("\r\n").count(), "{text:?}");
    let lines = text.split("\r\n").skip(1).take_while(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a colon");
            assert!(!name.contains([' ', '\t']), "{text:?}");
            (name.to_ascii_lowercase().replace('_', "-"), value.trim().to_owned())
        })
        .collect()
}

/// How a body is framed for whoever takes any line that looks like one about it.
fn framing_by_anyone(lines: &[(String, String)]) -> Framing {
    let values = |wanted: &str| {
        let of_name = lines.iter().filter(|(name, _)| name == wanted);
        of_name.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    match (&values("transfer-encoding")[..], &values("content-length")[..]) {
        ([], []) => Framing::None,
        ([coding], []) => {
            assert!(coding.eq_ignore_ascii_case("chunked"), "{lines:?}");
            Framing::Chunked
        }
        ([], [length]) => match length.parse() {
            Ok(0) => Framing::None,
            length => Framing::Length(length.expect("a number")),
        },
        _ => panic!("two lines on where the body ends: {lines:?}"),
    }
}

pub(super) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

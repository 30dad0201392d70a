//! From the bytes of HTTP/1 to heads. What is let in here is all that the rest of the program ever sees, so this is where
//! request smuggling ends: a head whose framing could be read in two ways is refused, not repaired.
//!
//! The grammar is httparse's, less what RFC 9112 does not allow; what a head means is decided in [`super::semantics`].

use std::mem::MaybeUninit;

use super::head::{Known, Line, Lines, RequestHead, ResponseHead, Slice, Version};
use super::semantics::{Author, Malformed, check_target, interpret_request, interpret_response};

/// The most header lines that any configuration may allow.
pub const MAX_LINES: usize = 256;

/// Parses a request's head from the start of `bytes`. As HAProxy does, `max_lines` counts the request line.
///
/// Answers the head's length, blank line included; `None` while it is incomplete.
///
/// # Errors
/// When what is there cannot become an acceptable head: RFC 9112's grammar, more than `max_lines` header
/// lines, or a framing that is not one thing for certain.
pub fn request(bytes: &[u8], max_lines: usize, head: &mut RequestHead) -> Result<Option<usize>, Malformed> {
    request_by(Author::Client, bytes, max_lines, head)
}

/// The same for a head that this program has written: rules may have changed or taken away its Host line.
///
/// # Errors
/// As [`request`].
pub fn written_request(
    bytes: &[u8],
    max_lines: usize,
    head: &mut RequestHead,
) -> Result<Option<usize>, Malformed> {
    request_by(Author::Rules, bytes, max_lines, head)
}

fn request_by(
    author: Author,
    bytes: &[u8],
    max_lines: usize,
    head: &mut RequestHead,
) -> Result<Option<usize>, Malformed> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_LINES];
    let mut parsed = httparse::Request::new(&mut []);
    let room = &mut storage[..max_lines.saturating_sub(1).min(MAX_LINES)];
    let length = match parsed.parse_with_uninit_headers(bytes, room).map_err(reason)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let whole = &bytes[..length];
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let first = Slice::of(method.as_bytes(), whole);
    head.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.method = first;
    head.target = Slice::of(target.as_bytes(), whole);
    keep_lines(whole, parsed.headers, &mut head.lines);
    let line_end = line_ends_strictly(whole, parsed.headers)?;
    head.request_line = Slice::between(first.start()..line_end);
    interpret_request(head)?;
    check_target(head, author)?;
    Ok(Some(length))
}

/// Parses a response's head from the start of `bytes`, to a request with the method HEAD or not.
///
/// Answers the head's length, blank line included; `None` while it is incomplete.
///
/// # Errors
/// As [`request`]; line ends may be bare line feeds, since nothing hangs on them here.
pub fn response(
    bytes: &[u8],
    max_lines: usize,
    to_head: bool,
    head: &mut ResponseHead,
) -> Result<Option<usize>, Malformed> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let room = &mut storage[..max_lines.min(MAX_LINES)];
    let config = httparse::ParserConfig::default();
    let outcome = config.parse_response_with_uninit_headers(&mut parsed, bytes, room).map_err(reason)?;
    let httparse::Status::Complete(length) = outcome else { return Ok(None) };
    let whole = &bytes[..length];
    head.version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.status = parsed.code.unwrap_or_default();
    if head.status < 100 {
        return Err(Malformed("a status code below 100"));
    }
    keep_lines(whole, parsed.headers, &mut head.lines);
    head.reason = reason_phrase(whole)?;
    interpret_response(head, to_head)?;
    Ok(Some(length))
}

fn reason(error: httparse::Error) -> Malformed {
    Malformed(match error {
        httparse::Error::HeaderName => "a header name that is not a token",
        httparse::Error::HeaderValue => "a header value with a control character",
        httparse::Error::NewLine => "a line end that is not CRLF",
        httparse::Error::Status => "an invalid status line",
        httparse::Error::Token => "an invalid request line",
        httparse::Error::TooManyHeaders => "too many header lines",
        httparse::Error::Version => "a version that is neither HTTP/1.0 nor HTTP/1.1",
    })
}

/// Copies the head's bytes, with the lines' names in lower case, and notes where the lines stand.
fn keep_lines(whole: &[u8], headers: &[httparse::Header<'_>], lines: &mut Lines) {
    let Lines { bytes, lines, unusual_names } = lines;
    bytes.clear();
    bytes.extend_from_slice(whole);
    lines.clear();
    let mut classes = 0;
    lines.extend(headers.iter().map(|header| {
        let name = Slice::of(header.name.as_bytes(), whole);
        let value = if header.value.is_empty() { Slice::default() } else { Slice::of(header.value, whole) };
        let tidy = whole.get(name.range().end..value.start()) == Some(b": ")
            && whole[value.range().end..].starts_with(b"\r\n");
        let text = &mut bytes[name.range()];
        for byte in &mut *text {
            let class = NAMES[usize::from(*byte)];
            *byte = class & !UNUSUAL;
            classes |= class;
        }
        Line { name, value, known: Known::of(text), tidy }
    }));
    *unusual_names = classes & UNUSUAL != 0;
}

/// Each byte of a name in lower case, with a bit set where it is no letter, no digit and no `-`: both are found out in one
/// go. Names are ASCII.
static NAMES: [u8; 256] = names();
const UNUSUAL: u8 = 0x80;

const fn names() -> [u8; 256] {
    let mut names = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let plain = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
        names[byte] = (byte as u8).to_ascii_lowercase() | if plain { 0 } else { UNUSUAL };
        byte += 1;
    }
    names
}

/// Sees that each line ends with CRLF, for httparse takes a bare LF too; answers where the first line ends.
/// A line begins at its name, so it is enough to look at the two bytes before each name, and at the last four.
fn line_ends_strictly(whole: &[u8], headers: &[httparse::Header<'_>]) -> Result<usize, Malformed> {
    let base = whole.as_ptr() as usize;
    let starts = headers.iter().map(|header| header.name.as_ptr() as usize - base);
    if !whole.ends_with(b"\r\n\r\n") || !starts.clone().all(|at| at >= 2 && whole[at - 2] == b'\r') {
        return Err(Malformed("a line end that is not CRLF"));
    }
    Ok(starts.into_iter().next().map_or(whole.len() - 4, |at| at - 2))
}

/// Where the reason phrase stands: behind the version, three digits and a space. httparse leaves out phrases that
/// are not ASCII, and takes a line that ends at its digits with a bare line feed, behind which no reader could tell where a
/// phrase would be.
fn reason_phrase(whole: &[u8]) -> Result<Slice, Malformed> {
    let digits = whole.iter().take_while(|b| b.is_ascii_whitespace()).count() + b"HTTP/1.1 200".len();
    match whole.get(digits..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(Slice::between(digits..digits)),
        [b' ', phrase @ ..] => {
            let start = digits + 1;
            let length = memchr::memchr2(b'\r', b'\n', phrase).unwrap_or(phrase.len());
            Ok(Slice::between(start..start + length))
        }
        _ => Err(Malformed("an invalid status line")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::head::Framing;

    fn parse(text: &str) -> Result<Option<RequestHead>, Malformed> {
        let mut head = RequestHead::default();
        Ok(request(text.as_bytes(), 101, &mut head)?.map(|_| head))
    }

    fn framing(lines: &str) -> Result<Framing, Malformed> {
        Ok(parse(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))?.expect("a whole head").framing)
    }

    #[test]
    fn a_head_is_kept_with_its_lines_and_first_line() {
        let head =
            parse("\r\nGET /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  two \r\nEmpty:\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.request_line(), b"GET /a?b=c HTTP/1.1");
        assert_eq!((head.method(), head.path(), head.query()), (&b"GET"[..], &b"/a"[..], Some(&b"b=c"[..])));
        assert_eq!(head.lines().header(b"x-one"), Some(&b"two"[..]));
        assert_eq!(head.lines().header(b"empty"), Some(&b""[..]));
        assert_eq!(head.authority(), b"x");
        assert!(head.keep_alive);
        assert_eq!(parse("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().request_line(), b"GET / HTTP/1.0");
    }

    #[test]
    fn an_absolute_target_has_a_path_and_an_authority() {
        let head = parse("GET http://a:1/b?c HTTP/1.1\r\nHost: a:1\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.authority(), head.path(), head.query()), (&b"a:1"[..], &b"/b"[..], Some(&b"c"[..])));
    }

    #[test]
    fn an_incomplete_head_is_neither_taken_nor_refused() {
        assert!(parse("GET / HTTP/1.1\r\nHost:").unwrap().is_none());
        assert!(parse("").unwrap().is_none());
    }

    #[test]
    fn framing_is_read_where_it_is_certain() {
        assert_eq!(framing(""), Ok(Framing::None));
        assert_eq!(framing("Content-Length: 0\r\n"), Ok(Framing::None));
        assert_eq!(framing("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    }

    #[test]
    fn framing_that_could_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 0x1\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Host: y\r\n",
            "A: b\r\n c\r\n",
            "A : b\r\n",
            "A: b\n",
            "A: b\rC: d\r\n",
            "A: b\0\r\n",
            ": b\r\n",
        ] {
            assert!(framing(lines).is_err(), "{lines:?} was let in");
        }
    }

    #[test]
    fn a_request_line_that_is_none_is_refused() {
        for line in [
            "GET /\r\n",
            "GET / HTTP/2.0\r\n",
            "GET / HTTP/1.1\n",
            "GET /\u{e9} HTTP/1.1\r\n",
            "G(T / HTTP/1.1\r\n",
            "PRI * HTTP/1.1\r\n",
            "GET * HTTP/1.1\r\n",
            "GET admin?://x HTTP/1.1\r\n",
            "GET http://u@x/ HTTP/1.1\r\n",
            "GET http://y/ HTTP/1.1\r\n",
            "GET https://x:80/ HTTP/1.1\r\n",
            "CONNECT x:8080 HTTP/1.1\r\n",
            "CONNECT x HTTP/1.1\r\n",
        ] {
            assert!(parse(&format!("{line}Host: x\r\n\r\n")).is_err(), "{line:?} was let in");
        }
    }

    #[test]
    fn a_request_of_http_1_1_names_one_host() {
        for lines in ["", "Host:\r\n", "Host: a b\r\n", "Host: a@b\r\n", "Host: a,b\r\n", "Host: [::1\r\n"] {
            assert!(parse(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).is_err(), "{lines:?} was let in");
        }
        assert!(
            parse("GET / HTTP/1.0\r\n\r\n").is_ok() && parse("GET / HTTP/1.0\r\nHost: a@b\r\n\r\n").is_err()
        );
        let mut head = RequestHead::default();
        let written = b"GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n";
        assert!(request(written, 101, &mut head).is_err());
        assert!(written_request(written, 101, &mut head).is_ok());
        assert!(
            written_request(b"GET / HTTP/1.1\r\n\r\n", 101, &mut head).is_ok() && head.authority().is_empty()
        );
        assert!(written_request(b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 101, &mut head).is_err());
    }

    #[test]
    fn a_host_line_may_leave_out_the_port_of_the_scheme() {
        for (line, host, authority) in [
            ("GET https://h:443/", "h", "h:443"),
            ("GET https://h/", "h:443", "h"),
            ("GET http://H/", "h:80", "H"),
            ("GET http://h/", "h:", "h"),
            ("GET /", "h:", "h:"),
            ("CONNECT h:443", "h", "h:443"),
            ("OPTIONS *", "h.", "h."),
        ] {
            let head = parse(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap().unwrap();
            assert_eq!(head.authority(), authority.as_bytes());
            assert!(head.host().eq_ignore_ascii_case(b"h"));
        }
    }

    #[test]
    fn a_url_without_a_path_means_the_root_and_in_options_the_server() {
        for (line, path, url) in [
            ("GET http://h", "/", "/"),
            ("GET http://h?a", "/", "/?a"),
            ("OPTIONS http://h", "*", ""),
            ("OPTIONS http://h?a", "/", "/?a"),
            ("OPTIONS *", "*", ""),
            ("CONNECT h:80", "", ""),
            ("GET /a?b", "/a", "/a?b"),
        ] {
            let head = parse(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap().unwrap();
            let mut written = Vec::new();
            head.write_url(&mut written);
            assert_eq!((head.path(), &*written), (path.as_bytes(), url.as_bytes()), "{line}");
        }
    }

    #[test]
    fn more_lines_than_allowed_are_refused() {
        let lines = "a: b\r\n".repeat(102);
        assert!(parse(&format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).is_err());
    }

    fn reply(text: &str, to_head: bool) -> Result<ResponseHead, Malformed> {
        let mut head = ResponseHead::default();
        response(text.as_bytes(), 101, to_head, &mut head)?.expect("a whole head");
        Ok(head)
    }

    #[test]
    fn a_response_ends_where_its_status_and_framing_say() {
        let framing = |text: &str, to_head| reply(text, to_head).unwrap().framing;
        assert_eq!(framing("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false), Framing::Length(5));
        assert_eq!(framing("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true), Framing::None);
        assert_eq!(framing("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", false), Framing::None);
        assert_eq!(framing("HTTP/1.1 200\r\n\r\n", false), Framing::Close);
        let both = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(framing(both, false), Framing::Chunked);
        assert!(reply("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", false).is_err());
        assert!(reply("rubbish\r\n\r\n", false).is_err());
    }

    #[test]
    fn schemes_that_authenticate_the_connection_are_told_from_others() {
        let asked = |value: &str| {
            reply(&format!("HTTP/1.1 401 No\r\n{value}\r\n\r\n"), false).unwrap().binds_connection
        };
        for line in [
            "WWW-Authenticate: NTLM",
            "www-authenticate: negotiate",
            "WWW-Authenticate: Basic realm=\"a\", Negotiate YII=",
            "WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: NTLM TlRM",
            "Proxy-Authenticate: NTLM",
            "Proxy-Authenticate: Kerberos",
        ] {
            assert!(asked(line), "{line}");
        }
        for line in [
            "WWW-Authenticate: Basic realm=\"NTLM\"",
            "WWW-Authenticate: Bearer",
            "X-Auth: NTLM",
            "Authorization: NTLM a",
        ] {
            assert!(!asked(line), "{line}");
        }
        let sent =
            |line: &str| parse(&format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n")).unwrap().unwrap();
        assert!(sent("Authorization: Negotiate YII=").binds_connection);
        assert!(sent("Proxy-Authorization: ntlm TlRM").binds_connection);
        assert!(!sent("Authorization: Basic TlRM").binds_connection);
    }

    #[test]
    fn a_server_keeps_its_connection_by_version_and_wish() {
        assert!(reply("HTTP/1.1 204 No Content\r\n\r\n", false).unwrap().keep_alive);
        assert!(!reply("HTTP/1.0 204 No Content\r\n\r\n", false).unwrap().keep_alive);
        assert!(!reply("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", false).unwrap().keep_alive);
        assert!(!reply("HTTP/1.1 200 OK\r\n\r\n", false).unwrap().keep_alive);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = request(&bytes, 101, &mut RequestHead::default());
            let _ = response(&bytes, 101, false, &mut ResponseHead::default());
        }

        #[test]
        fn no_mutation_of_a_head_panics(at in 0usize..80, byte in any::<u8>()) {
            let mut bytes = b"POST http://a/b?c=d HTTP/1.1\r\nhost: a\r\ncookie: a=b\r\ncontent-length: 3\r\n\r\n".to_vec();
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            let mut head = RequestHead::default();
            if let Ok(Some(length)) = request(&bytes, 101, &mut head) {
                prop_assert!(length <= bytes.len());
                let _ = (head.path().len(), head.query(), head.authority().len(), head.cookie(b"a"));
            }
        }
    }
}

//! A client's connection of HTTP/2: whatever it sends, what is passed on of it is what it asked for.
//!
//! Three read the same bytes. lb, up to the request that an exchange gets (`http2/passed_on.rs`); a plain reader of the two
//! RFCs ([`reading`]), which shares no code with it; and the `h2` library alone ([`library`]), which keeps the plain
//! reader honest and says what must not be lost.

mod hpack;
mod language;
mod library;
mod reading;

use super::Target;
use super::http::{MOST_LINES, request, shown};
use crate::http::body::Decoder;
use crate::http::head::{Framing, Known, RequestHead};
use crate::http::trailers::Sender;
use crate::http::{names, parse, target};
use crate::http2::{PassedOn, passed_on};
use hpack::Field;
use reading::{Meaning, Sent};

pub(super) const HTTP2: Target = Target::new(
    "http2",
    &[
        "+ :method GET\n",
        "= 2\n",
        "= 3\n",
        "= 6\n",
        "= 7\n",
        "= 4\n",
        "+ :path ",
        "- :path ",
        "+h :path ",
        "!H :path ",
        "+ :authority a.test\n",
        "- :authority ",
        "+ host a.test\n",
        "+ #1 ",
        "+ #4 ",
        "- #4 ",
        "+ #62 ",
        "- #62 ",
        "= 62\n",
        "= 63\n",
        "= 64\n",
        "= 61\n",
        "= 0\n",
        "+ :method ",
        "- :method ",
        "- :scheme ",
        "+ :scheme http\n",
        "- :protocol websocket\n",
        "- :status 200\n",
        "- :x y\n",
        "+ cookie a=b\n",
        "- cookie ",
        "- content-length ",
        "- content-length 5\n",
        "+ x-a b\n",
        "+h x-a ",
        "- x_a b\n",
        "- te trailers\n",
        "- te ",
        "- transfer-encoding chunked\n",
        "- connection close\n",
        "- upgrade h2c\n",
        "- expect 100-continue\n",
        "- trailer x-t\n",
        "- sec-websocket-key x\n",
        "- host ",
        "- X-A b\n",
        "- proxy-connection x\n",
        "- meant-0 x\n",
        "+ ",
        "- ",
        "! ",
        "-h ",
        "+H ",
        "= ",
        "u 0\n",
        "u 4096\n",
        "u 4097\n",
        "u 100\n",
        "u ",
        "r ",
        "\\x82",
        "\\x00",
        "\\xff",
        "\\n",
        "\\r\\n",
        "\\x",
        "H + e\n",
        "H + \n",
        "H + c\n",
        "H + pe\n",
        "H + ye\n",
        "H . e\n",
        "H 1 e\n",
        "H ",
        "C . \n",
        "C . c\n",
        "C ",
        "D . e hello\n",
        "D . . hello\n",
        "D . pe hello\n",
        "D ",
        "R . 8\n",
        "R . 0\n",
        "R ",
        "S 1 0\n",
        "S 3 1\n",
        "S 4 0\n",
        "S 5 16384\n",
        "W 0 1\n",
        "W . 1\n",
        "P\n",
        "G 0\n",
        "F ",
        "F 9 4 1 \n",
        "F 5 4 1 \n",
        "B ",
        "/",
        "/a?b=c",
        "/<\"",
        "`",
        "|>",
        "#x",
        "*",
        "GET",
        "POST",
        "CONNECT",
        "OPTIONS",
        "PRI",
        "http",
        "https",
        "a.test",
        "b.test",
        ":80",
        ":443",
        "@",
        "[::1]",
        "  ",
        "\t",
        "\n",
        "é",
        "\u{7f}",
    ],
    http2,
)
.slow(20);

/// So many bytes come at a time: with them no whole frame, so that what comes before an error is seen before it.
const STEP: usize = 5;
/// Up to so many bytes all come one by one, too.
const SHORT: usize = 100;
/// The longest connection that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;
/// The longest head that is let in, and so the most that the library takes.
const MAX_HEADER_LIST: usize = 15 * 1024;

fn http2(text: &[u8]) {
    let bytes = language::bytes(text);
    if bytes.len() > LONGEST {
        return;
    }
    let sent: Vec<_> =
        reading::sent(&bytes).into_iter().map(|sent| (reading::meaning(&sent.fields), sent)).collect();
    let cut = passed_on(bytes.chunks(STEP));
    each_is_what_was_sent(&cut, &sent);
    is_the_same_but_for_its_end(&passed_on([&bytes[..]].into_iter()), &cut);
    if bytes.len() < SHORT {
        is_the_same_but_for_its_end(&passed_on(bytes.chunks(1)), &cut);
    }
    let taken = library::taken(bytes.chunks(STEP), MAX_HEADER_LIST);
    is_read_as_the_library_reads(&sent, &taken);
    is_not_lost(&sent, &taken, &cut);
}

/// Of each request that is passed on one was sent that it is, in the same order.
fn each_is_what_was_sent(passed: &[PassedOn], sent: &[(Option<Meaning>, Sent)]) {
    let mut rest = sent.iter();
    for request in passed {
        let Some(read) = read(request) else {
            // What is refused may be any.
            assert!(rest.next().is_some(), "more requests than were sent");
            continue;
        };
        let is_it = |(meaning, sent): &(Option<Meaning>, Sent)| {
            meaning.as_ref().is_some_and(|meaning| is_head_of(&read, request, meaning))
                && is_body_of(&read, sent)
        };
        assert!(rest.any(is_it), "nobody sent {read:?}, but {sent:?}");
    }
}

/// How bytes are cut decides no more than how far the last requests get before an error ends the connection.
fn is_the_same_but_for_its_end(passed: &[PassedOn], others: &[PassedOn]) {
    for (some, other) in passed.iter().zip(others) {
        assert_eq!((without_chance(some), &some.line), (without_chance(other), &other.line));
        if some.is_whole && other.is_whole {
            assert_eq!(body(some), body(other));
        }
    }
}

/// What the library takes was sent.
fn is_read_as_the_library_reads(sent: &[(Option<Meaning>, Sent)], taken: &[library::Taken]) {
    for library::Taken { stream, meaning, body, trailers, is_whole } in taken {
        let found = sent.iter().find(|(_, sent)| sent.stream == *stream);
        let (own, sent) = found.unwrap_or_else(|| panic!("{stream} was not sent: {meaning:?}"));
        // The library lets some through that hyper or lb refuse.
        if let Some(own) = own {
            assert_eq!(
                (&own.method, &own.authority, &own.protocol, by_name(&own.fields)),
                (&meaning.method, &meaning.authority, &meaning.protocol, by_name(&meaning.fields))
            );
            // It cuts off a fragment, with which lb lets no request in.
            let is_cut = own.path.as_ref().is_some_and(|path| path.contains(&b'#'));
            assert!(is_cut || meaning.path.is_none() || meaning.path == own.path, "{own:?} {meaning:?}");
            assert!(meaning.scheme.is_none() || meaning.scheme == own.scheme, "{own:?} {meaning:?}");
        }
        assert!(sent.body.starts_with(body), "{stream}");
        if *is_whole {
            assert!(sent.is_whole && sent.body == *body, "{stream}");
            assert_eq!(by_name(&sent.trailers), by_name(trailers), "{stream}");
        }
    }
}

/// What the library takes, and nobody could object to, is passed on.
fn is_not_lost(sent: &[(Option<Meaning>, Sent)], taken: &[library::Taken], passed: &[PassedOn]) {
    let mut rest = passed.iter();
    for (meaning, request) in sent {
        let Some(meaning) = meaning else { continue };
        if !is_plain(meaning) || !taken.iter().any(|taken| taken.stream == request.stream) {
            continue;
        }
        let is_it = |passed: &PassedOn| read(passed).is_some_and(|read| is_head_of(&read, passed, meaning));
        assert!(rest.any(is_it), "{meaning:?} is lost");
    }
}

/// Whether a request has nothing that anybody could object to.
fn is_plain(meaning: &Meaning) -> bool {
    let Meaning { method, scheme, authority, path, fields, .. } = meaning;
    let path = path.as_deref().unwrap_or_default();
    let length: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    method.iter().all(u8::is_ascii_uppercase)
        && method != b"CONNECT"
        && method != b"PRI"
        && matches!(scheme.as_deref(), Some(b"http" | b"https"))
        && target::authority(authority).is_some()
        && path.first() == Some(&b'/')
        && path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
        && fields.len() < 90
        && length < 4096
        && !fields.iter().any(|(name, value)| {
            matches!(&name[..], b"host" | b"content-length" | b"cookie") || value.contains(&0x7f)
        })
}

/// What a server would read.
#[derive(Debug)]
struct Read {
    head: RequestHead,
    body: Option<Body>,
    is_whole: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    trailers: Vec<u8>,
    is_whole: bool,
}

/// Reads a request that was passed on; `None` where it is refused.
fn read(passed: &PassedOn) -> Option<Read> {
    let mut head = RequestHead::default();
    if passed.head.len() > MAX_HEADER_LIST
        || parse::request(&passed.head, MOST_LINES, &mut head) != Ok(Some(passed.head.len()))
    {
        return None;
    }
    request(&passed.head);
    assert!(!passed.line.iter().any(u8::is_ascii_control), "{}", shown(&passed.line));
    let body = if passed.is_tunnel { None } else { body(passed) };
    Some(Read { head, body, is_whole: passed.is_whole })
}

/// What came behind a request's head; `None` where it is none, as far as it goes.
fn body(passed: &PassedOn) -> Option<Body> {
    let mut head = RequestHead::default();
    parse::request(&passed.head, MOST_LINES, &mut head).ok()??;
    let mut trailers = Vec::new();
    if passed.is_whole && head.framing == Framing::Chunked {
        let mut decoder = Decoder::of_message(Sender::Client);
        decoder.end_message(&passed.trailers).ok()?;
        trailers = decoder.trailers();
    }
    Some(Body { data: passed.body.clone(), trailers, is_whole: passed.is_whole })
}

/// Whether a head that was passed on is that of a request.
fn is_head_of(read: &Read, passed: &PassedOn, meaning: &Meaning) -> bool {
    let head = &read.head;
    let is_websocket = meaning.protocol.is_some();
    let method = if is_websocket { b"GET" } else { &meaning.method[..] };
    let target = meaning.path.as_ref().unwrap_or(&meaning.authority);
    let chunked = [(b"transfer-encoding".to_vec(), b"chunked".to_vec())];
    let websocket = [
        (b"connection".to_vec(), b"Upgrade".to_vec()),
        (b"upgrade".to_vec(), b"websocket".to_vec()),
        (b"sec-websocket-key".to_vec(), Vec::new()),
    ];
    let is_chunked = head.lines().known(Known::TransferEncoding).next().is_some();
    let added: &[Field] = match (is_websocket, is_chunked) {
        (true, _) => &websocket,
        (false, true) => &chunked,
        (false, false) => &[],
    };
    let lines: Vec<Field> = head.lines().iter().map(|line| (line.name.into(), line.value.into())).collect();
    let Some(own) = lines.strip_prefix(&[(b"host".to_vec(), meaning.authority.clone())]) else {
        return false;
    };
    let Some((own, last)) = own.split_at_checked(own.len().saturating_sub(added.len())) else { return false };
    let last = last.iter().map(|(name, value)| match &name[..] {
        b"sec-websocket-key" => (name.clone(), Vec::new()),
        _ => (name.clone(), value.clone()),
    });
    passed.is_tunnel == (meaning.method == b"CONNECT")
        && meaning.protocol.as_ref().is_none_or(|protocol| protocol == b"websocket")
        && head.method() == method
        && head.target() == *target
        && last.eq(added.iter().cloned())
        && by_name(own) == by_name(&with_one_cookie(&meaning.fields, is_websocket))
}

/// Whether a body that was passed on is that of a request, or as much of it as came.
fn is_body_of(read: &Read, sent: &Sent) -> bool {
    let Some(body) = &read.body else { return true };
    if !(read.is_whole && body.is_whole) {
        return sent.body.starts_with(&body.data);
    }
    // Those that decide what a head does, or may be taken for such, do not go on (`http/trailers.rs`).
    let mut left = &body.trailers[..];
    for (name, value) in by_name(&sent.trailers) {
        let line = [&name[..], b": ", &value, b"\r\n"].concat();
        match left.strip_prefix(&line[..]) {
            Some(rest) => left = rest,
            None if name.starts_with(b"x-") && names::is_plain(&name) => return false,
            None => {}
        }
    }
    let is_chunked = read.head.lines().known(Known::TransferEncoding).next().is_some();
    sent.is_whole
        && sent.body == body.data
        && reading::are_fields(&sent.trailers)
        && (!is_chunked || left.is_empty())
}

/// The fields of a request without its host, and with its cookies in one line at their end (section 8.2.3). Of a
/// WebSocket's key lb makes its own.
fn with_one_cookie(fields: &[Field], is_websocket: bool) -> Vec<Field> {
    let goes = |name: &[u8]| match name {
        b"sec-websocket-key" => !is_websocket,
        _ => name != b"host" && name != b"cookie",
    };
    let others = fields.iter().filter(|(name, _)| goes(name));
    let mut others: Vec<Field> = others.cloned().collect();
    let cookies: Vec<_> =
        fields.iter().filter(|(name, _)| name == b"cookie").map(|(_, value)| &value[..]).collect();
    if !cookies.is_empty() {
        others.push((b"cookie".to_vec(), cookies.join(&b"; "[..]).trim_ascii().to_vec()));
    }
    others
}

/// Fields in the order of their names' first ones: the order among different names says nothing (RFC 9110, section 5.3).
fn by_name(fields: &[Field]) -> Vec<Field> {
    let mut sorted: Vec<Field> = Vec::with_capacity(fields.len());
    for (name, _) in fields {
        if !sorted.iter().any(|(seen, _)| seen == name) {
            sorted.extend(fields.iter().filter(|(other, _)| other == name).cloned());
        }
    }
    sorted
}

/// A head without what hangs on chance: a nonce, and whether a body is known to be empty before it has come.
fn without_chance(passed: &PassedOn) -> String {
    let mut head = shown(&passed.head);
    if let Some(nonce) = head.rfind("sec-websocket-key: ").filter(|_| passed.is_tunnel) {
        head.truncate(nonce);
    }
    head.replace(r"transfer-encoding: chunked\r\n", "")
}

//! A stream's request as HTTP/1.1 has it (RFC 9113, section 8.3), for the one parser that decides what is let in.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Body, Incoming};
use hyper::ext::Protocol;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::{self, OnUpgrade};
use hyper::{HeaderMap, Method, Request};

use super::screen;
use super::upload::Upload;
use crate::failure::Failure;
use crate::http::body::Encoding;
use crate::http::target;
use crate::scratch::Memory;

/// What a request wants, as far as it decides how the response is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A response with whatever body it has.
    Plain,
    /// A response without a body.
    Head,
    /// A tunnel (RFC 9113, section 8.5).
    Connect,
    /// A WebSocket (RFC 8441).
    WebSocket,
}

/// What comes from the client behind the head.
pub(super) enum Rest {
    /// A body.
    Body(Upload),
    /// Bytes of which nothing is known, once the server has agreed.
    Tunnel(OnUpgrade),
}

/// A request in HTTP/1.1.
pub(super) struct Translated {
    /// Whether it has a head that can be accepted.
    pub(super) head: Result<(), Failure>,
    pub(super) rest: Rest,
    pub(super) kind: Kind,
}

/// Makes HTTP/1.1 of a request. Its head goes to `up`, and the request line as HAProxy logs it, with the whole URL and the
/// protocol that the client spoke, to `down`.
pub(super) fn translate(mut request: Request<Incoming>, memory: &mut Memory) -> Translated {
    let protocol = request.extensions_mut().remove::<Protocol>();
    let meant = screen::take(request.headers_mut());
    let kind = match (request.method(), &protocol) {
        (&Method::CONNECT, Some(_)) => Kind::WebSocket,
        (&Method::CONNECT, None) => Kind::Connect,
        (&Method::HEAD, _) => Kind::Head,
        _ => Kind::Plain,
    };
    if matches!(kind, Kind::Connect | Kind::WebSocket) {
        let tunnel = upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let known = protocol.as_ref().is_none_or(|protocol| protocol.as_ref() == b"websocket");
        let head =
            if known { write(&parts, meant.as_ref(), kind, false, memory) } else { Err(Failure::BadRequest) };
        return Translated { head, rest: Rest::Tunnel(tunnel), kind };
    }
    let (parts, body) = request.into_parts();
    let chunked = !body.is_end_stream() && !parts.headers.contains_key(header::CONTENT_LENGTH);
    let encoding = if chunked { Encoding::Chunked } else { Encoding::Plain };
    Translated {
        head: write(&parts, meant.as_ref(), kind, chunked, memory),
        rest: Rest::Body(Upload::of_client(body, encoding)),
        kind,
    }
}

/// Writes a request's head. What may not stand in it is refused by hyper, or by the parser that reads this.
/// `meant` is what the screen says of it.
fn write(
    parts: &Parts,
    meant: Option<&HeaderValue>,
    kind: Kind,
    chunked: bool,
    memory: &mut Memory,
) -> Result<(), Failure> {
    if is_malformed(parts) {
        return Err(Failure::BadRequest);
    }
    let authority = authority(parts)?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let path = match meant {
        Some(said) => &*screen::meant(path, said).ok_or(Failure::BadRequest)?,
        None => path,
    };
    let method = if kind == Kind::WebSocket { "GET" } else { parts.method.as_str() };
    let target = if kind == Kind::Connect { authority } else { path };
    let Memory { up: text, down: line, .. } = memory;
    text.clear();
    line.clear();
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| text.extend_from_slice(piece));
    put(&[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\nhost: ", authority.as_bytes(), b"\r\n"]);
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        match *name {
            header::HOST => {}
            // It has no meaning here (RFC 8441, section 5), and the server is to find one.
            header::SEC_WEBSOCKET_KEY if kind == Kind::WebSocket => {}
            // A client may send each cookie in a line of its own (section 8.2.3).
            header::COOKIE => {
                cookies.extend_from_slice(if cookies.is_empty() { b"cookie: " } else { b"; " });
                cookies.extend_from_slice(value.as_bytes());
            }
            _ => put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]),
        }
    }
    if !cookies.is_empty() {
        put(&[&cookies, b"\r\n"]);
    }
    if chunked {
        put(&[b"transfer-encoding: chunked\r\n"]);
    }
    if kind == Kind::WebSocket {
        put(&[
            b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ",
            nonce().as_bytes(),
            b"\r\n",
        ]);
    }
    put(&[b"\r\n"]);
    let scheme = parts.uri.scheme_str().unwrap_or_default();
    // Behind an authority that came as a Host line hyper keeps no scheme.
    let is_whole = target == path && path.starts_with('/') && !scheme.is_empty();
    let whole = if is_whole { (scheme, "://", authority) } else { ("", "", "") };
    for piece in [parts.method.as_str(), " ", whole.0, whole.1, whole.2, target, " HTTP/2.0"] {
        line.extend_from_slice(piece.as_bytes());
    }
    Ok(())
}

/// Whether it has what HTTP/2 forbids and hyper lets through: spaces around a value (section 8.2.1), or an empty scheme
/// (section 8.3.1).
fn is_malformed(parts: &Parts) -> bool {
    parts.uri.scheme_str().is_some_and(str::is_empty) || has_malformed(&parts.headers)
}

/// Whether any of these fields, or trailers, has spaces around its value.
pub(super) fn has_malformed(fields: &HeaderMap) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    fields.values().map(HeaderValue::as_bytes).any(|value| blank(value.first()) || blank(value.last()))
}

/// Whom the request is for. There must be one answer to that; whether it is one, the parser says.
fn authority(parts: &Parts) -> Result<&str, Failure> {
    let named = parts.uri.authority().map(|authority| authority.as_str());
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(|host| host.to_str().map_err(|_| Failure::BadRequest)).transpose()?;
    let scheme = parts.uri.scheme_str().unwrap_or_default();
    let agree = match (named, host) {
        (Some(named), Some(host)) => {
            target::same_authority(scheme.as_bytes(), named.as_bytes(), host.as_bytes())
        }
        _ => true,
    };
    match named.or(host) {
        Some(authority) if agree && hosts.next().is_none() => Ok(authority),
        _ => Err(Failure::BadRequest),
    }
}

/// Sixteen bytes that nobody has used before, in base 64 (RFC 6455, section 4.1): they prove only that the server has
/// read this request.
fn nonce() -> String {
    let random = || RandomState::new().hash_one(0_u8).to_be_bytes();
    STANDARD.encode([random(), random()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head, and the line of the log.
    fn written(request: hyper::http::request::Builder, kind: Kind) -> Result<(String, String), Failure> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut memory = Memory::default();
        write(&parts, None, kind, false, &mut memory)?;
        Ok((String::from_utf8(memory.up).unwrap(), String::from_utf8(memory.down).unwrap()))
    }

    #[test]
    fn cookies_are_joined_and_the_authority_becomes_the_host() {
        let request = Request::get("http://a.test:81/x?y")
            .header("host", "A.test:081")
            .header("cookie", "a=1")
            .header("x", "2")
            .header("cookie", "b=3");
        let (text, line) = written(request, Kind::Plain).unwrap();
        assert_eq!(text, "GET /x?y HTTP/1.1\r\nhost: a.test:81\r\nx: 2\r\ncookie: a=1; b=3\r\n\r\n");
        assert_eq!(line, "GET http://a.test:81/x?y HTTP/2.0");
    }

    #[test]
    fn what_is_no_request_or_is_for_nobody_or_for_two_is_refused() {
        for request in [
            Request::get("/x"),
            Request::get("http://a.test/x").header("host", "b.test"),
            Request::get("http://a.test/x").header("host", "a.test").header("host", "a.test"),
            Request::get("http://a.test/x").header("x", " y"),
            Request::get("http://a.test/x").header("x", "y\t"),
            Request::get("http://a.test/x").header("host", "a.test:443"),
        ] {
            assert_eq!(written(request, Kind::Plain).err(), Some(Failure::BadRequest));
        }
    }

    #[test]
    fn an_extended_connect_becomes_an_upgrade() {
        let request = Request::connect("https://a.test/chat")
            .header("sec-websocket-key", "none")
            .header("sec-websocket-version", "13");
        let (text, line) = written(request, Kind::WebSocket).unwrap();
        let key = text.split_once("sec-websocket-key: ").unwrap().1.trim_end();
        assert!(text.starts_with("GET /chat HTTP/1.1\r\nhost: a.test\r\nsec-websocket-version: 13\r\n"));
        assert!(key.len() == 24 && key.ends_with("==") && !key[..22].contains('='), "{key}");
        assert_eq!(line, "CONNECT https://a.test/chat HTTP/2.0");
    }
}

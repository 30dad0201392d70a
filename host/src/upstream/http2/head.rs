//! Heads between HTTP/1.1, as the exchange has them, and HTTP/2 (RFC 9113, section 8.3).

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{HeaderMap, Method, Request, StatusCode, Version};

use crate::http::body::Encoding;
use crate::http::head::{Field, Known, RequestHead};
use crate::http::semantics::tokens;

/// A response's head in HTTP/1.1, and how its body follows.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: Encoding,
    /// How much of a body follows, where the head says so.
    pub(super) length: Option<u64>,
}

/// What a request asks for before it sends its body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The request as HTTP/2 has it; the status to answer where it cannot be said there.
pub(super) fn request(head: &RequestHead, https: bool) -> Result<Request<()>, StatusCode> {
    let method = Method::from_bytes(head.method()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    let uri = Uri::builder().path_and_query(path(head).ok_or(StatusCode::BAD_REQUEST)?);
    let uri = match head.authority() {
        // Who names no host gets the server's own choice of one, and not a name that no rule has seen. hyper takes a
        // request without an authority where it is said to come from HTTP/1, and calls its scheme `http`.
        [] => {
            *request.version_mut() = Version::HTTP_11;
            uri
        }
        authority => uri.scheme(if https { "https" } else { "http" }).authority(authority),
    };
    *request.uri_mut() = uri.build().map_err(|_| StatusCode::BAD_REQUEST)?;
    for Field { name, value, known, .. } in head.lines().iter() {
        let ends_here = match known {
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade
            | Known::Http2Settings
            | Known::Host => true,
            Known::Te => !tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers")),
            _ => name == b"expect",
        };
        if known == Known::Te && !ends_here {
            // Any other member has no place in HTTP/2 (RFC 9113, section 8.2.2).
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        } else if !ends_here {
            let name = HeaderName::from_bytes(name).map_err(|_| StatusCode::BAD_REQUEST)?;
            let value = HeaderValue::from_bytes(value).map_err(|_| StatusCode::BAD_REQUEST)?;
            request.headers_mut().append(name, value);
        }
    }
    Ok(request)
}

/// The target as `:path`: `*`, or path and query. What no URL has and clients send all the same is written as URLs have
/// it: servers of HTTP/2, and hyper before them, take nothing else.
fn path(head: &RequestHead) -> Option<PathAndQuery> {
    if !head.has_path() {
        return Some(PathAndQuery::from_static("*"));
    }
    let mut url = Vec::with_capacity(head.target().len());
    head.write_url(&mut url);
    if url.iter().any(|byte| is_foreign(*byte)) {
        let encode =
            |byte: u8| if is_foreign(byte) { format!("%{byte:02X}").into_bytes() } else { vec![byte] };
        url = url.into_iter().flat_map(encode).collect();
    }
    PathAndQuery::from_maybe_shared(Bytes::from(url)).ok()
}

/// Whether RFC 3986 has no such byte in a path or a query.
fn is_foreign(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// The head of a response in HTTP/1.1, as an exchange reads it.
pub(crate) fn as_http1(parts: &Parts, to_head: bool) -> Vec<u8> {
    response(parts, to_head).bytes
}

/// The response as HTTP/1.1 has it. The connection that it seems to come on is good for no other request.
pub(super) fn response(parts: &Parts, to_head: bool) -> Text {
    let status = parts.status;
    let bodyless = to_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // Behind a length there is no place for trailers, and gRPC's status is in them.
    let is_grpc = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_grpc);
    let length = parts.headers.get(header::CONTENT_LENGTH).filter(|_| bodyless || !is_grpc);
    let mut bytes = Vec::with_capacity(512);
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    let reason = status.canonical_reason().unwrap_or_default();
    put(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
    for (name, value) in &parts.headers {
        let ends_here = match *name {
            header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => true,
            header::CONTENT_LENGTH => length.is_none(),
            _ => false,
        };
        if !ends_here {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    put(&[b"connection: close\r\n"]);
    let known = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let encoding = if bodyless || length.is_some() { Encoding::Plain } else { Encoding::Chunked };
    if encoding == Encoding::Chunked {
        put(&[b"transfer-encoding: chunked\r\n"]);
    }
    put(&[b"\r\n"]);
    Text { bytes, encoding, length: if bodyless { Some(0) } else { known } }
}

/// An answer in the server's place.
pub(super) fn refusal(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let text =
        format!("HTTP/1.1 {} {reason}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status.as_str());
    text.into_bytes()
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/grpc")
}

/// Trailer lines as HTTP/2 sends them; `None` where there are none.
pub(super) fn trailer_map(lines: &[u8]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for line in lines.split(|b| *b == b'\n') {
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;
    use crate::http::parse;

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        parse::written_request(text.as_bytes(), 101, &mut head).unwrap().unwrap();
        head
    }

    fn written(response: hyper::http::response::Builder, to_head: bool) -> (String, Option<u64>) {
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let text = super::response(&parts, to_head);
        (String::from_utf8(text.bytes).unwrap(), text.length)
    }

    #[test]
    fn a_request_loses_what_belongs_to_a_connection_of_http1() {
        let head = head(
            "POST /a?b HTTP/1.1\r\nHost: x.test:81\r\nTE: trailers\r\nConnection: TE\r\nX-A: 1\r\nx-a: 2\r\n\
             Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        );
        assert!(head.expects_continue());
        let request = request(&head, true).unwrap();
        assert_eq!(request.uri(), "https://x.test:81/a?b");
        let lines: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(lines, [("te", "trailers"), ("x-a", "1"), ("x-a", "2")]);
    }

    #[test]
    fn every_form_of_target_has_its_path_and_connect_has_none() {
        let uri = |text: &str| request(&head(text), false).map(|request| request.uri().to_string());
        assert_eq!(uri("GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap(), "http://a.test/x");
        assert_eq!(uri("GET / HTTP/1.0\r\n\r\n").unwrap(), "/", "nobody invents a host");
        assert_eq!(uri("GET http://a.test?x HTTP/1.1\r\n\r\n").unwrap(), "http://a.test/?x");
        let odd = "GET /a\"b`c?<d>|^{e}\\ HTTP/1.1\r\nHost: a.test\r\n\r\n";
        assert_eq!(uri(odd).unwrap(), "http://a.test/a%22b%60c?%3Cd%3E%7C%5E%7Be%7D%5C");
        let options = request(&head("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n"), false).unwrap();
        assert_eq!(options.uri().path(), "*");
        let server = request(&head("OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n"), false).unwrap();
        assert_eq!(server.uri().path(), "*");
        let connect = uri("CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n");
        assert_eq!(connect.err(), Some(StatusCode::NOT_IMPLEMENTED));
    }

    #[test]
    fn a_response_keeps_its_length_unless_trailers_may_follow() {
        let plain = Response::builder().header("content-length", "3").header("x-a", "1");
        let (text, length) = written(plain, false);
        assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-a: 1\r\nconnection: close\r\n\r\n");
        assert_eq!(length, Some(3));
        let grpc = Response::builder()
            .header("content-length", "3")
            .header("content-type", "application/grpc+proto");
        let (text, length) = written(grpc, false);
        assert!(text.ends_with("\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"), "{text}");
        assert!(!text.contains("content-length") && length.is_none());
        let (text, length) = written(Response::builder().status(304).header("content-length", "3"), false);
        assert_eq!(text, "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\nconnection: close\r\n\r\n");
        assert_eq!(length, Some(0));
        assert_eq!(written(Response::builder(), true).1, Some(0));
    }
}

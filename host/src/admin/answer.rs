//! What the admin listener answers. It only reads: whatever is asked for, nothing changes.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::stats::Source;
use crate::stats::exposition::{self, Format};

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// The answer to a request that came to `address`.
pub(super) fn to(request: &Request<Incoming>, address: SocketAddr, source: &Source) -> Answer {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if address.ip().is_loopback() && !is_own_host(header(HOST), request.uri().host()) {
        let why = "On this machine's own address, `Host` must be an IP address or `localhost`.\n";
        return plain(StatusCode::MISDIRECTED_REQUEST, why);
    }
    let page: fn(&Source, Option<&str>) -> Answer = match request.uri().path() {
        "/metrics" => metrics,
        _ => return plain(StatusCode::NOT_FOUND, "There is no such page. `/metrics` is one.\n"),
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This can only be read.\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    page(source, header(ACCEPT))
}

fn metrics(source: &Source, accept: Option<&str>) -> Answer {
    let format = accept.map_or(Format::Classic, Format::accepted);
    match exposition::text(source.snapshot(), format) {
        Ok(text) => answer(StatusCode::OK, format.content_type(), text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written.\n"),
    }
}

/// Whether a request means this listener by an address, and not by a name that somebody else gave it: a web page
/// whose name resolves to 127.0.0.1 would otherwise have the browser of whoever sits here read it.
fn is_own_host(host: Option<&str>, in_target: Option<&str>) -> bool {
    let Some(host) = in_target.or(host) else { return true };
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_this_machines_is_refused() {
        for host in [None, Some("127.0.0.1:8404"), Some("localhost"), Some("LOCALHOST:1"), Some("[::1]:8404")]
        {
            assert!(is_own_host(host, None), "{host:?}");
        }
        for host in ["evil.example:8404", "localhost.evil.example", "", "[evil]:1", "127.0.0.1.evil.example"]
        {
            assert!(!is_own_host(Some(host), None), "{host}");
        }
        assert!(!is_own_host(Some("localhost"), Some("evil.example")));
    }
}

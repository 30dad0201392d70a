//! What the admin listener answers. It only reads: whatever is asked for, nothing changes.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::page::PAGE;
use super::source::Source;
use super::view::Status;
use crate::http::target;
use crate::stats::exposition::{self, Format};

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// For how long `/status.json` stays as it is, so that many who look cost no more than one.
const STATUS_KEPT: Duration = Duration::from_millis(500);

/// What answers are made of.
pub(super) struct Desk {
    source: Rc<Source>,
    /// `/status.json` as it was made last, and when.
    status: RefCell<Option<(Instant, Bytes)>>,
}

impl Desk {
    pub(super) fn new(source: Rc<Source>) -> Desk {
        Desk { source, status: RefCell::default() }
    }
}

/// The answer to a request that came to `address`.
pub(super) fn to(request: &Request<Incoming>, address: SocketAddr, desk: &Desk) -> Answer {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if address.ip().is_loopback() && !is_own_host(header(HOST), request.uri().host()) {
        let why = "On this machine's own address, `Host` must be an IP address or `localhost`.\n";
        return plain(StatusCode::MISDIRECTED_REQUEST, why);
    }
    let page: fn(&Desk, Option<&str>) -> Answer = match request.uri().path() {
        "/" => page,
        "/status.json" => status,
        "/metrics" => metrics,
        _ => {
            let those = "There is no such page. Those that are: `/`, `/status.json`, `/metrics`.\n";
            return plain(StatusCode::NOT_FOUND, those);
        }
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "This can only be read.\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    page(desk, header(ACCEPT))
}

fn page(_: &Desk, _: Option<&str>) -> Answer {
    let mut answer = answer(StatusCode::OK, "text/html; charset=utf-8", PAGE.html.as_str());
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, PAGE.policy.clone());
    answer
}

fn status(desk: &Desk, _: Option<&str>) -> Answer {
    let mut kept = desk.status.borrow_mut();
    let text = match &*kept {
        Some((made, text)) if made.elapsed() < STATUS_KEPT => text.clone(),
        _ => match serde_json::to_vec(&Status::of(&desk.source.snapshot())) {
            Ok(text) => kept.insert((Instant::now(), text.into())).1.clone(),
            Err(_) => return plain(StatusCode::INTERNAL_SERVER_ERROR, "The figures could not be written.\n"),
        },
    };
    answer(StatusCode::OK, "application/json", text)
}

fn metrics(desk: &Desk, accept: Option<&str>) -> Answer {
    let format = accept.map_or(Format::Classic, Format::accepted);
    match exposition::text(desk.source.snapshot(), format) {
        Ok(text) => answer(StatusCode::OK, format.content_type(), text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written.\n"),
    }
}

/// Whether a request means this listener by an address, and not by a name that somebody else gave it: a web page
/// whose name resolves to 127.0.0.1 would otherwise have the browser of whoever sits here read it.
fn is_own_host(host: Option<&str>, in_target: Option<&str>) -> bool {
    let Some(host) = in_target.or(host) else { return true };
    let Some(authority) = target::authority(host.as_bytes()) else { return false };
    let host = host[..authority.host].trim_matches(['[', ']']);
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
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
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
        for host in [
            "evil.example:8404",
            "localhost.evil.example",
            "",
            "[evil]:1",
            "127.0.0.1.evil.example",
            "localhost:80@evil.example",
        ] {
            assert!(!is_own_host(Some(host), None), "{host}");
        }
        assert!(!is_own_host(Some("localhost"), Some("evil.example")));
    }
}

//! What TLS means for an exchange: who came in clear is sent to https, browsers are told to stay there, servers learn
//! of the client's certificate, and persistence's own cookies are kept from scripts and from the clear.

use std::sync::Arc;

use super::Exchange;
use super::answer::Answer;
use super::edits::LineEdit;
use crate::config::model::tls::{Hsts, HttpsRedirect};
use crate::http::head::RequestHead;

/// The lines by which servers learn of a client's certificate.
const CLIENT_LINES: [&str; 3] = ["x-ssl-client-cn", "x-ssl-client-dn", "x-ssl-client-verify"];

impl Exchange<'_> {
    /// Puts the changes that TLS asks for to the edits, or answers a request that must not come in clear.
    pub(super) fn secure(&mut self) -> Option<Answer> {
        let config = &self.frontend.shared.config;
        let Some(session) = &self.client.tls else {
            let redirect = config.redirect_https.as_ref()?;
            return to_https(&self.client.scratch.request, redirect);
        };
        if let Some(hsts) = &config.hsts {
            self.edits.response.push(LineEdit::Set("strict-transport-security".into(), line(hsts)));
        }
        if session.asked {
            // Whoever could send these could pass for anybody.
            self.edits.request.extend(CLIENT_LINES.map(|name| LineEdit::Remove(name.into())));
            if let Some(client) = &session.client {
                let lines = [
                    (CLIENT_LINES[0], client.common_name.as_deref()),
                    (CLIENT_LINES[1], Some(client.subject.as_str())),
                    (CLIENT_LINES[2], Some("0")),
                ];
                let lines = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
                self.edits
                    .request
                    .extend(lines.map(|(name, value)| LineEdit::Add(name.into(), value.into())));
            }
        }
        None
    }

    /// What is added to the cookies that persistence inserts.
    pub(super) fn cookie_attributes(&self) -> &'static [u8] {
        if self.client.tls.is_some() { self.backend.shared.cookie_attributes } else { b"" }
    }
}

/// The same address on https; `None` where the request does not say which host it wants.
fn to_https(request: &RequestHead, redirect: &HttpsRedirect) -> Option<Answer> {
    let host = without_port(request.authority());
    let target = match request.target() {
        target if target.first() == Some(&b'/') => target,
        _ => request.path(),
    };
    if host.is_empty() || request.method() == b"CONNECT" {
        return None;
    }
    let mut location = [b"https://", host].concat();
    if redirect.port != 443 {
        location.extend_from_slice(format!(":{}", redirect.port).as_bytes());
    }
    if target.first() != Some(&b'/') {
        location.push(b'/');
    }
    location.extend_from_slice(target);
    if let (false, Some(query)) = (request.target().first() == Some(&b'/'), request.query()) {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    Some(Answer {
        status: redirect.status,
        reason: match redirect.status {
            301 => "Moved Permanently",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            _ => "Found",
        },
        headers: vec![("location".into(), location)],
        body: Arc::from([]),
        termination: *b"LR",
        delay: None,
    })
}

/// An authority without its port; the brackets of an IPv6 address stay.
fn without_port(authority: &[u8]) -> &[u8] {
    let from = memchr::memrchr(b']', authority).unwrap_or(0);
    match memchr::memrchr(b':', &authority[from..]) {
        Some(colon) => &authority[..from + colon],
        None => authority,
    }
}

/// The value of `strict-transport-security` (RFC 6797, section 6.1).
fn line(hsts: &Hsts) -> Vec<u8> {
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    format!("max-age={}{subdomains}{preload}", hsts.max_age.as_secs()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;

    fn location(request: &str, redirect: HttpsRedirect) -> Option<String> {
        let mut head = RequestHead::default();
        parse::request(request.as_bytes(), 101, &mut head).unwrap().unwrap();
        let answer = to_https(&head, &redirect)?;
        assert_eq!(answer.status, redirect.status);
        Some(String::from_utf8(answer.headers[0].1.clone()).unwrap())
    }

    #[test]
    fn the_address_stays_but_for_the_scheme_and_the_port() {
        let plain = HttpsRedirect { status: 302, port: 443 };
        let other = HttpsRedirect { status: 308, port: 8443 };
        let to = |host: &str, target: &str, redirect| {
            location(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"), redirect)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(to("a.example", "/x?y=1&z", plain), some("https://a.example/x?y=1&z"));
        assert_eq!(to("a.example:8080", "/", plain), some("https://a.example/"));
        assert_eq!(to("a.example:8080", "/", other), some("https://a.example:8443/"));
        assert_eq!(to("[::1]:80", "/", plain), some("https://[::1]/"));
        assert_eq!(to("[::1]", "/", other), some("https://[::1]:8443/"));
        assert_eq!(to("b.example:80", "http://b.example:80/p?q", plain), some("https://b.example/p?q"));
        assert_eq!(to("b.example", "http://b.example", plain), some("https://b.example/"));
        assert_eq!(location("GET / HTTP/1.0\r\n\r\n", plain), None);
    }

    #[test]
    fn browsers_are_told_in_seconds() {
        let hsts = |include_subdomains, preload| {
            let max_age = std::time::Duration::from_hours(365 * 24);
            String::from_utf8(line(&Hsts { max_age, include_subdomains, preload })).unwrap()
        };
        assert_eq!(hsts(false, false), "max-age=31536000");
        assert_eq!(hsts(true, true), "max-age=31536000; includeSubDomains; preload");
    }
}

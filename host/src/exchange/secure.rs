//! What TLS means for an exchange: who came in clear is sent to https, browsers are told to stay there, servers learn
//! of the client's certificate, and persistence's own cookies are kept from scripts and from the clear.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::Exchange;
use super::answer::Answer;
use super::edits::LineEdit;
use super::ruled::facts;
use crate::config::model::UnusualNames;
use crate::config::model::tls::{Hsts, HttpsRedirect};
use crate::connection::Client;
use crate::http::head::RequestHead;
use crate::http::names;
use crate::http::target::Form;
use crate::rules::CERTIFICATE_LINES;
use crate::worker::FrontendSeat;

impl Exchange<'_> {
    /// Puts the changes that TLS asks for to the edits, or answers a request that must not come in clear.
    pub(super) fn secure(&mut self) -> Option<Answer> {
        let config = &self.frontend.shared.config;
        if self.client.tls.is_none() {
            let redirect = config.redirect_https.as_ref()?;
            return to_https(&self.client.scratch.request, redirect);
        }
        if let Some(hsts) = &config.hsts {
            self.edits.response.push(LineEdit::Set("strict-transport-security".into(), line(hsts)));
        }
        if self.is_vouched_for() {
            let facts = facts(self.client);
            let lines = CERTIFICATE_LINES.into_iter().filter_map(|name| Some((name, facts.vouched(name)?)));
            let lines = lines.map(|(name, value)| LineEdit::Add(name.into(), value.into()));
            self.edits.request.extend(lines);
        }
        None
    }

    /// Whether the client showed a certificate that was found good.
    pub(super) fn is_vouched_for(&self) -> bool {
        self.client.tls.as_ref().is_some_and(|session| session.client.is_some())
    }

    /// Takes away the lines that nobody but this program may write: whoever could send them could pass for anybody,
    /// to servers, rules, limits and policies.
    pub(super) fn forget_forged(&mut self) {
        let head = Arc::make_mut(&mut self.client.scratch.request);
        head.forget(&CERTIFICATE_LINES);
    }

    /// Deals with lines whose names servers may take for others; whether the request goes on.
    pub(super) fn sift_names(&mut self) -> bool {
        let unusual = self.frontend.shared.config.unusual_names;
        let head = Arc::make_mut(&mut self.client.scratch.request);
        match unusual {
            UnusualNames::Refuse => return false,
            UnusualNames::Drop => head.retain(names::is_plain),
            UnusualNames::Allow => head.retain(|name| names::is_plain(name) || !passes_for_ours(name)),
        }
        true
    }

    /// Whether it came by a connection that was made to another host, where that counts.
    pub(super) fn is_misdirected(&self) -> bool {
        let Some(session) = self.client.tls.as_ref().filter(|_| self.frontend.shared.config.strict_sni_host)
        else {
            return false;
        };
        !is_host_of(session.server_name.as_deref(), self.client.scratch.request.host())
    }

    /// What is added to the cookies that persistence inserts.
    pub(super) fn cookie_attributes(&self) -> &'static [u8] {
        if self.client.tls.is_some() { self.backend.shared.cookie_attributes } else { b"" }
    }
}

/// Whether servers may take a line of this name for one that says who the client is.
fn passes_for_ours(name: &[u8]) -> bool {
    CERTIFICATE_LINES.iter().any(|line| names::passes_for(name, line.as_bytes()))
}

/// Whether a connection that was made to this name is one to this host. Addresses are no names (RFC 6066, section 3).
fn is_host_of(server_name: Option<&str>, host: &[u8]) -> bool {
    match server_name {
        Some(name) => host.eq_ignore_ascii_case(name.as_bytes()),
        None => {
            let text = std::str::from_utf8(host).unwrap_or_default();
            let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            address.parse::<IpAddr>().is_ok()
        }
    }
}

/// The same address on https; `None` where the request does not say which host it wants.
fn to_https(request: &RequestHead, redirect: &HttpsRedirect) -> Option<Answer> {
    let host = request.host();
    if host.is_empty() || request.form() == Form::Authority {
        return None;
    }
    let mut location = [b"https://", host].concat();
    if redirect.port != 443 {
        location.extend_from_slice(format!(":{}", redirect.port).as_bytes());
    }
    if !request.has_path() {
        location.push(b'/');
    }
    request.write_url(&mut location);
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
    })
}

/// An answer of our own with what browsers are to know, where it goes over TLS (RFC 6797, section 7.1). A page that says
/// it by itself has the last word.
pub(crate) fn with_hsts<'a>(answer: &'a [u8], frontend: &FrontendSeat, client: &Client) -> Cow<'a, [u8]> {
    match &frontend.shared.config.hsts {
        Some(hsts) if client.tls.is_some() => hinted(answer, hsts),
        _ => answer.into(),
    }
}

fn hinted<'a>(answer: &'a [u8], hsts: &Hsts) -> Cow<'a, [u8]> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return answer.into() };
    if memchr::memmem::find(&answer[..end], b"\r\nstrict-transport-security:").is_some() {
        return answer.into();
    }
    let (head, rest) = answer.split_at(end);
    [head, b"\r\nstrict-transport-security: ", &line(hsts), rest].concat().into()
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
        assert_eq!(to("b.example", "http://b.example?q", plain), some("https://b.example/?q"));
        let server = "OPTIONS * HTTP/1.1\r\nHost: a.example:80\r\n\r\n";
        assert_eq!(location(server, plain), some("https://a.example/"));
        assert_eq!(location("CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", plain), None);
    }

    #[test]
    fn a_connection_is_for_the_host_that_it_was_made_to() {
        for (name, host, is_its) in [
            (Some("a.example"), "A.example", true),
            (Some("a.example"), "b.example", false),
            (Some("a.example"), "", false),
            (Some("a.example"), "192.0.2.1", false),
            (None, "192.0.2.1", true),
            (None, "[2001:db8::1]", true),
            (None, "a.example", false),
            (None, "", false),
        ] {
            assert_eq!(is_host_of(name, host.as_bytes()), is_its, "{name:?} {host}");
        }
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

    #[test]
    fn answers_of_our_own_say_it_once() {
        let hsts =
            Hsts { max_age: std::time::Duration::from_secs(9), include_subdomains: false, preload: false };
        let said = |answer: &str| String::from_utf8(hinted(answer.as_bytes(), &hsts).into_owned()).unwrap();
        let line = "strict-transport-security: max-age=9\r\n";
        let page = "HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\n\r\n\r\n";
        assert_eq!(said(page), page.replacen("4\r\n", &format!("4\r\n{line}"), 1));
        assert_eq!(said("HTTP/1.1 204 None\r\n\r\n"), format!("HTTP/1.1 204 None\r\n{line}\r\n"));
        let own = "HTTP/1.1 503 Busy\r\nstrict-transport-security: max-age=0\r\n\r\n";
        assert_eq!(said(own), own);
        assert_eq!(said(""), "");
    }
}

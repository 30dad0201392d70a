//! What a request is for: the one grammar of request targets (RFC 9112, section 3.2) and of authorities (RFC 3986,
//! section 3.2). Whatever speaks of a host or a path, in either version of HTTP, towards clients and servers, in rules,
//! redirects and logs, has it from here, so that nobody downstream can read another host or path out of the same bytes.
//!
//! An authority is narrower than RFC 3986 has it: nobody's name, no percent sign, no sub-delimiter. No registered name
//! has any of them, a comma is two `Host` lines that somebody joined, and whoever decodes one sees another host than
//! those who do not.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::semantics::Malformed;

/// The forms of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A path, and perhaps a query.
    #[default]
    Origin,
    /// A URL with scheme and authority.
    Absolute,
    /// A host and a port, of CONNECT.
    Authority,
    /// `*`, of OPTIONS: the server itself.
    Asterisk,
}

/// A request target taken apart: where its parts stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) form: Form,
    /// The authority that it names itself, and how long the host in that is.
    pub(super) authority: Option<(Range<usize>, usize)>,
    /// Empty where there is none.
    pub(super) path: Range<usize>,
    pub(super) query: Option<Range<usize>>,
}

/// An authority taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// How many of its first bytes are its host: a name, perhaps with a dot at its end, or an address.
    pub host: usize,
    /// Its port, where it names one. A colon with nothing behind it names none.
    pub port: Option<u16>,
}

/// The bytes that labels of host names are made of: RFC 3986's unreserved ones, less the dot.
static LABEL: [bool; 256] = labels();

const fn labels() -> [bool; 256] {
    let mut labels = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        labels[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'~');
        byte += 1;
    }
    labels
}

/// Whether a byte may stand in a target. RFC 3986 has no `"`, `<`, `>`, `\`, `^`, `{`, `|`, `}` and backtick, but clients
/// send them, and all servers agree on what they mean: themselves. A fragment is the client's own affair.
pub fn is_in_target(byte: u8) -> bool {
    byte.is_ascii_graphic() & (byte != b'#')
}

/// Takes a request target apart.
///
/// # Errors
/// Where it has none of the forms that a request of this method may have.
pub(super) fn parse(method: &[u8], target: &[u8]) -> Result<Target, Malformed> {
    // Without an early end, so that many bytes are looked at at once.
    if !target.iter().fold(true, |all, byte| all & is_in_target(*byte)) {
        return Err(Malformed("a byte in the request target that has no place there"));
    }
    if method == b"CONNECT" {
        return match authority(target) {
            Some(Authority { port: Some(_), host }) => Ok(Target {
                form: Form::Authority,
                authority: Some((0..target.len(), host)),
                path: 0..0,
                query: None,
            }),
            _ => Err(Malformed("a CONNECT to what is no host and port")),
        };
    }
    if target.first() == Some(&b'/') {
        let (path, query) = path_and_query(target, 0);
        return Ok(Target { form: Form::Origin, authority: None, path, query });
    }
    if target == b"*" {
        let asterisk = Target { form: Form::Asterisk, authority: None, path: 0..1, query: None };
        return if method == b"OPTIONS" { Ok(asterisk) } else { Err(Malformed("a `*` without OPTIONS")) };
    }
    let at =
        scheme(target).ok_or(Malformed("a request target that is neither a path nor a URL"))? + b"://".len();
    let end = authority_end(target, at);
    let Authority { host, .. } =
        authority(&target[at..end]).ok_or(Malformed("a URL whose authority is none"))?;
    let (path, query) = path_and_query(target, end);
    Ok(Target { form: Form::Absolute, authority: Some((at..end, host)), path, query })
}

/// How long the scheme is, where what stands before the first `://` is one.
pub fn scheme(target: &[u8]) -> Option<usize> {
    let length = target.iter().take_while(|byte| **byte != b':').count();
    (is_scheme(&target[..length]) && target[length..].starts_with(b"://")).then_some(length)
}

/// Whether this is a scheme (RFC 3986, section 3.1).
pub fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// Where a path stands in a target that this grammar has accepted, or that rules have made of one: an absolute one's is
/// empty where it has none. `None` for `*` and for a CONNECT.
pub fn path_of(target: &[u8]) -> Option<Range<usize>> {
    let start =
        if target.first() == Some(&b'/') { 0 } else { authority_end(target, scheme(target)? + b"://".len()) };
    Some(path_and_query(target, start).0)
}

fn authority_end(target: &[u8], start: usize) -> usize {
    memchr::memchr2(b'/', b'?', &target[start..]).map_or(target.len(), |at| start + at)
}

fn path_and_query(target: &[u8], start: usize) -> (Range<usize>, Option<Range<usize>>) {
    match memchr::memchr(b'?', &target[start..]) {
        Some(at) => (start..start + at, Some(start + at + 1..target.len())),
        None => (start..target.len(), None),
    }
}

/// Takes an authority apart; `None` where it is none. What names a user is none: no URL of HTTP may have one (RFC 9110,
/// section 4.2.4).
pub fn authority(text: &[u8]) -> Option<Authority> {
    let host = if text.first() == Some(&b'[') { address(text)? } else { name(text)? };
    let port = match &text[host..] {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return None,
    };
    Some(Authority { host, port })
}

/// How long an IPv6 address in its brackets is.
fn address(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b']', text)?;
    std::str::from_utf8(&text[1..end]).ok()?.parse::<Ipv6Addr>().ok()?;
    Some(end + 1)
}

/// How long a name, or an IPv4 address, is. No label is empty.
fn name(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    let mut label = false;
    while let Some(byte) = text.get(length) {
        match byte {
            b'.' if label => label = false,
            byte if LABEL[usize::from(*byte)] => label = true,
            b':' if length > 0 => break,
            _ => return None,
        }
        length += 1;
    }
    (length > 0).then_some(length)
}

fn port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |port, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    })
}

/// The port that a scheme's URLs mean where they name none.
fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case(b"http") => Some(80),
        _ if scheme.eq_ignore_ascii_case(b"https") => Some(443),
        _ => None,
    }
}

/// Whether two authorities name the same host and port, in URLs of this scheme (RFC 3986, section 6.2.3).
pub fn same_authority(scheme: &[u8], one: &[u8], other: &[u8]) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let (Some(first), Some(second)) = (authority(one), authority(other)) else { return false };
    let default = default_port(scheme);
    one[..first.host].eq_ignore_ascii_case(&other[..second.host])
        && first.port.or(default) == second.port.or(default)
}

/// Whether a Host line agrees with a CONNECT's target: without a port it means those of http and https, as HAProxy has it.
pub(super) fn agrees_with_connect(target: &[u8], host: &[u8]) -> bool {
    same_authority(b"", target, host)
        || [&b"http"[..], b"https"].iter().any(|scheme| same_authority(scheme, target, host))
}

/// A host as rules compare it and as a URL names it: without the dot at its end.
pub(super) fn without_dot(host: &[u8]) -> &[u8] {
    host.strip_suffix(b".").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(method: &str, target: &str) -> Option<(Form, Option<String>, String, Option<String>)> {
        let parsed = parse(method.as_bytes(), target.as_bytes()).ok()?;
        let text = |range: Range<usize>| target[range].to_owned();
        Some((
            parsed.form,
            parsed.authority.map(|(range, _)| text(range)),
            text(parsed.path),
            parsed.query.map(text),
        ))
    }

    #[test]
    fn each_form_of_target_has_its_parts() {
        let owned = |form, authority: &str, path: &str, query: Option<&str>| {
            let authority = (!authority.is_empty()).then(|| authority.to_owned());
            Some((form, authority, path.to_owned(), query.map(str::to_owned)))
        };
        for (method, target, expected) in [
            ("GET", "/", owned(Form::Origin, "", "/", None)),
            ("GET", "/a//b?c?d", owned(Form::Origin, "", "/a//b", Some("c?d"))),
            ("GET", "//a.test://x", owned(Form::Origin, "", "//a.test://x", None)),
            ("GET", "/?", owned(Form::Origin, "", "/", Some(""))),
            ("GET", "http://a.test/x?y", owned(Form::Absolute, "a.test", "/x", Some("y"))),
            ("GET", "HTTPS://[::1]:8443", owned(Form::Absolute, "[::1]:8443", "", None)),
            ("GET", "http://a.test?y/z", owned(Form::Absolute, "a.test", "", Some("y/z"))),
            ("GET", "a+b-c.1://x/", owned(Form::Absolute, "x", "/", None)),
            ("OPTIONS", "*", owned(Form::Asterisk, "", "*", None)),
            ("CONNECT", "a.test:443", owned(Form::Authority, "a.test:443", "", None)),
            ("CONNECT", "[::1]:1", owned(Form::Authority, "[::1]:1", "", None)),
        ] {
            assert_eq!(parts(method, target), expected, "{method} {target}");
        }
        assert!(parts("GET", "/\"<>`{}|\\^[]").is_some(), "what clients send though no URL has it");
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for (method, targets) in [
            (
                "GET",
                &[
                    "",
                    "*",
                    "x",
                    "?x",
                    "admin?://x",
                    "admin?a=://x/",
                    ".://x/y",
                    "1http://x/",
                    "ht_tp://x/",
                    "://x/",
                    "http:///x",
                    "http://",
                    "http:/x",
                    "http:x",
                    "http://u@x/",
                    "http://evil.test:80@good.test/",
                    "http://x:y/",
                    "http://x:99999/",
                    "/a#b",
                    "#",
                    "/a b",
                    "/\u{e9}",
                    "/\u{7f}",
                    "/\t",
                ][..],
            ),
            ("OPTIONS", &["**", "*?", "x"]),
            (
                "CONNECT",
                &[
                    "",
                    "a.test",
                    "a.test:",
                    ":1",
                    "/",
                    "*",
                    "u@a.test:1",
                    "http://a.test:1",
                    "a.test:1/",
                    "::1:1",
                ],
            ),
        ] {
            for target in targets {
                assert_eq!(parts(method, target), None, "{method} {target}");
            }
        }
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let taken = |text: &str| {
            let Authority { host, port } = authority(text.as_bytes())?;
            Some((text[..host].to_owned(), port))
        };
        for (text, host, port) in [
            ("a.test", "a.test", None),
            ("a.test.", "a.test.", None),
            ("A_b-c~.test:8080", "A_b-c~.test", Some(8080)),
            ("a.test:", "a.test", None),
            ("1.2.3.4:065535", "1.2.3.4", Some(65_535)),
            ("[2001:DB8::1]", "[2001:DB8::1]", None),
            ("[::ffff:1.2.3.4]:0", "[::ffff:1.2.3.4]", Some(0)),
        ] {
            assert_eq!(taken(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "",
            ":80",
            ".",
            ".a",
            "a..b",
            "a:b",
            "a:b:c",
            "a:65536",
            "a:+1",
            "a:-1",
            "a: 1",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "@a",
            "a,b",
            "a;b",
            "a%62",
            "a\\b",
            "a\"",
            "a<",
            "*",
            "\u{e9}",
            "a\0",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]]",
            "[]",
            "[a]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[::1]:x",
            "x[::1]",
        ] {
            assert_eq!(taken(text), None, "{text:?}");
        }
    }

    #[test]
    fn authorities_are_the_same_by_the_ports_of_their_scheme() {
        for (scheme, one, other, same) in [
            ("http", "h", "H", true),
            ("http", "h", "h:80", true),
            ("http", "h:", "h:080", true),
            ("http", "h", "h:443", false),
            ("https", "h:443", "h", true),
            ("HTTPS", "h:443", "h:", true),
            ("https", "h:80", "h", false),
            ("ftp", "h:21", "h", false),
            ("ftp", "h:", "h", true),
            ("http", "h", "i", false),
            ("http", "[::1]:80", "[::1]", true),
        ] {
            let found = same_authority(scheme.as_bytes(), one.as_bytes(), other.as_bytes());
            assert_eq!(found, same, "{scheme} {one} {other}");
        }
        for (target, line, agrees) in [
            ("h:8080", "h:8080", true),
            ("h:8080", "h", false),
            ("h:443", "h", true),
            ("h:80", "h:", true),
            ("h:1", "i:1", false),
        ] {
            assert_eq!(agrees_with_connect(target.as_bytes(), line.as_bytes()), agrees, "{target} {line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_is_the_same_put_together(
            method in "GET|OPTIONS|CONNECT",
            target in "(http|https|a1|1a|)(://|:/|)(u@|)([a-c_.*%]{0,4}|\\[::1\\])(:[0-9]{0,6}|)(/|)[a/.\"]{0,4}(\\?[x=?]{0,3}|)",
        ) {
            if let Ok(parsed) = parse(method.as_bytes(), target.as_bytes()) {
                let path = match parsed.form {
                    Form::Asterisk | Form::Authority => None,
                    Form::Origin | Form::Absolute => Some(parsed.path.clone()),
                };
                prop_assert_eq!(path_of(target.as_bytes()), path);
                let end = parsed.query.as_ref().map_or(parsed.path.end, |query| query.end);
                prop_assert!(parsed.form == Form::Authority || end == target.len());
                if let Some((named, length)) = parsed.authority {
                    let text = &target.as_bytes()[named.clone()];
                    prop_assert_eq!(authority(text).map(|authority| authority.host), Some(length));
                    prop_assert!(!without_dot(&text[..length]).is_empty());
                    prop_assert!(parsed.form == Form::Authority || named.end == parsed.path.start);
                }
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (authority(&bytes), path_of(&bytes), scheme(&bytes));
            for method in [&b"GET"[..], b"OPTIONS", b"CONNECT"] {
                let _ = parse(method, &bytes);
            }
        }
    }
}

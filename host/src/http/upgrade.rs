//! Upgrade lines: to which protocols a connection may be switched through this program (RFC 9110, section 7.8).
//!
//! All lines of a head are one list. What is in it by any spelling and would have requests pass behind the switch,
//! where no rule sees them, goes no further; nor does what is no protocol at all, since another reader might take it
//! for one of those.

use super::parse::{is_token, tokens};

/// The protocols of an Upgrade line's value that may be switched to.
pub fn passable(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    tokens(value).filter(|protocol| is_passable(protocol))
}

/// Whether all that an Upgrade line names may be switched to.
pub fn is_all_passable(value: &[u8]) -> bool {
    tokens(value).all(is_passable)
}

/// Writes an Upgrade line of what may be switched to; none at all where that is nothing.
pub fn write(value: &[u8], out: &mut Vec<u8>) {
    let mut separator: &[u8] = b"upgrade: ";
    for protocol in passable(value) {
        out.extend_from_slice(separator);
        out.extend_from_slice(protocol);
        separator = b", ";
    }
    if separator == b", " {
        out.extend_from_slice(b"\r\n");
    }
}

/// A protocol is a name, and perhaps a version behind a slash. HTTP itself in any version (`h2c`, the drafts' `h2c-14`,
/// `HTTP/2.0`) would carry requests that nobody looks at.
fn is_passable(protocol: &[u8]) -> bool {
    let (name, version) = match memchr::memchr(b'/', protocol) {
        Some(slash) => (&protocol[..slash], Some(&protocol[slash + 1..])),
        None => (protocol, None),
    };
    let is_http = |start: &[u8]| name.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    is_token(name) && version.is_none_or(is_token) && !is_http(b"h2") && !is_http(b"h3") && !is_http(b"http")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut out = Vec::new();
        write(value.as_bytes(), &mut out);
        assert_eq!(out.is_empty(), passable(value.as_bytes()).next().is_none(), "{value:?}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn http_in_no_spelling_is_switched_to() {
        for value in [
            "h2c", "H2C", "h2c/1", "h2C/2.0", "h2", "h2c-14", "HTTP/2.0", "http", "h2c ", "h2c,", ",h2c",
            "h2c;q=1", "\"h2c\"", "h2c /1", "h2c h2c", "h2c/", "/h2c", "h2c/1/2", "",
        ] {
            assert_eq!(written(value), "", "{value:?}");
            assert!(value.is_empty() || !is_all_passable(value.as_bytes()), "{value:?}");
        }
    }

    #[test]
    fn what_else_is_named_goes_on() {
        assert_eq!(written("websocket"), "upgrade: websocket\r\n");
        assert_eq!(written("h2c, WebSocket"), "upgrade: WebSocket\r\n");
        assert_eq!(written(" TLS/1.0 ,,h2c/1,\tIRC/6.9"), "upgrade: TLS/1.0, IRC/6.9\r\n");
        assert!(is_all_passable(b"TLS/1.0, IRC/6.9") && !is_all_passable(b"TLS/1.0, h2c"));
    }
}

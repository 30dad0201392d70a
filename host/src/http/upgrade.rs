//! Upgrade lines: to which protocols a connection may be switched through this program (RFC 9110, section 7.8).
//!
//! All lines of a head are one list. What is in it by any spelling and would have requests pass behind the switch,
//! where no rule sees them, goes no further; nor does what is no protocol at all, since another reader might take it
//! for one of those.

use super::semantics::{is_token, tokens};

/// The protocols of an Upgrade line's value that may be switched to.
pub fn passable(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    tokens(value).filter(|protocol| is_passable(protocol))
}

/// Whether all that an Upgrade line names may be switched to.
pub fn is_all_passable(value: &[u8]) -> bool {
    tokens(value).all(is_passable)
}

/// The value of an Upgrade line with what may be switched to alone; `None` where that is nothing.
pub fn passable_list(value: &[u8]) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    for protocol in passable(value) {
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(protocol);
    }
    (!list.is_empty()).then_some(list)
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

    fn listed(value: &str) -> String {
        let list = passable_list(value.as_bytes());
        assert_eq!(list.is_none(), passable(value.as_bytes()).next().is_none(), "{value:?}");
        String::from_utf8(list.unwrap_or_default()).unwrap()
    }

    #[test]
    fn http_in_no_spelling_is_switched_to() {
        for value in [
            "h2c", "H2C", "h2c/1", "h2C/2.0", "h2", "h2c-14", "HTTP/2.0", "http", "h2c ", "h2c,", ",h2c",
            "h2c;q=1", "\"h2c\"", "h2c /1", "h2c h2c", "h2c/", "/h2c", "h2c/1/2", "",
        ] {
            assert_eq!(listed(value), "", "{value:?}");
            assert!(value.is_empty() || !is_all_passable(value.as_bytes()), "{value:?}");
        }
    }

    #[test]
    fn what_else_is_named_goes_on() {
        assert_eq!(listed("websocket"), "websocket");
        assert_eq!(listed("h2c, WebSocket"), "WebSocket");
        assert_eq!(listed(" TLS/1.0 ,,h2c/1,\tIRC/6.9"), "TLS/1.0, IRC/6.9");
        assert!(is_all_passable(b"TLS/1.0, IRC/6.9") && !is_all_passable(b"TLS/1.0, h2c"));
    }
}

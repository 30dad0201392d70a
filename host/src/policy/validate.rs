//! Whether what a policy answers can be: servers that exist, header names that are names, values that end
//! where they say. What passes here may go onto the wire as it is.

use super::answers::{Affinity, Amendment, HeaderEdit, Key, KeyEdit, Standing};
use super::fault::Fault;

/// The most header changes of one amendment.
const EDITS: usize = 64;
/// The most bytes that an amendment, or a key, may put into a message: a quarter of the usual buffer.
const BYTES: usize = 4096;

/// Headers that say where a message ends or whom a connection serves. They are the host's alone: with them a
/// policy could make one response look like two.
const HOSTS_OWN: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
];

pub(super) fn key(key: &Key) -> Result<(), Fault> {
    let (name, fit) = match key {
        Key::Cookie(name) => (name, is_token(name)),
        Key::Header(name) => (name, is_token(name) && !HOSTS_OWN.contains(&&**name)),
        Key::Query(name) => (name, !name.is_empty() && name.bytes().all(|b| is_query(b) && b != b'=')),
    };
    if fit && name.len() <= BYTES {
        Ok(())
    } else {
        Err(Fault::answer(format!("placed its key at {name:?}")))
    }
}

/// A balancer's answer, an index into the candidates of the last `update`.
pub(super) fn pick(answer: Option<u32>, candidates: usize) -> Result<(), Fault> {
    match answer {
        Some(index) if index as usize >= candidates => {
            Err(Fault::answer(format!("picked candidate {index} of {candidates}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn affinity(affinity: &Affinity, key: &Key, servers: usize) -> Result<(), Fault> {
    if let Some(server) = affinity.server
        && server as usize >= servers
    {
        return Err(Fault::answer(format!("recalled server {server} of {servers}")));
    }
    if affinity.standing == Standing::Absent {
        return Err(Fault::answer("called a key absent that was there"));
    }
    key_edit(&affinity.key, key)
}

pub(super) fn amendment(amendment: &Amendment, key: &Key) -> Result<(), Fault> {
    key_edit(&amendment.key, key)?;
    if amendment.headers.len() > EDITS {
        return Err(Fault::answer(format!("made {} changes to a response", amendment.headers.len())));
    }
    let mut bytes = 0;
    for edit in &amendment.headers {
        let (name, value) = match edit {
            HeaderEdit::Append { name, value } | HeaderEdit::Set { name, value } => (name, value.as_str()),
            HeaderEdit::Remove(name) => (name, ""),
        };
        if !is_token(name) || HOSTS_OWN.contains(&name.as_str()) {
            return Err(Fault::answer(format!("changed the header {:?}", start_of(name))));
        }
        if !value.bytes().all(is_field) {
            return Err(Fault::answer(format!("gave the header {name} a value with control characters")));
        }
        bytes += name.len() + value.len();
    }
    if bytes > BYTES {
        return Err(Fault::answer(format!("put {bytes} bytes of headers into a response")));
    }
    Ok(())
}

fn key_edit(edit: &KeyEdit, key: &Key) -> Result<(), Fault> {
    let KeyEdit::Replace(value) = edit else { return Ok(()) };
    let fit = value.len() <= BYTES
        && match key {
            Key::Cookie(_) => value.bytes().all(|b| is_field(b) && b != b';'),
            Key::Header(_) => value.bytes().all(is_field),
            Key::Query(_) => value.bytes().all(is_query),
        };
    if fit { Ok(()) } else { Err(Fault::answer("gave its key a value that cannot stand there")) }
}

fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// RFC 9110, section 5.5: what may stand in a field's value.
fn is_field(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What may stand in a query between its separators.
fn is_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'&' && byte != b'#'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amend(name: &str, value: &str) -> Result<(), Fault> {
        let edit = HeaderEdit::Append { name: name.into(), value: value.into() };
        amendment(&Amendment { key: KeyEdit::Keep, headers: vec![edit] }, &Key::Cookie("SERVER".into()))
    }

    #[test]
    fn a_header_that_would_split_the_response_is_no_answer() {
        assert!(amend("set-cookie", "SERVER=a; path=/").is_ok());
        for value in ["a\r\nx: y", "a\nb", "a\0", "\u{7f}"] {
            assert!(amend("x", value).is_err(), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\n", "ä", "content-length", "transfer-encoding"] {
            assert!(amend(name, "v").is_err(), "{name:?}");
        }
        assert!(amend("x", &"v".repeat(BYTES)).is_err());
    }

    #[test]
    fn a_key_is_replaced_only_by_what_can_stand_in_its_place() {
        let replace = |key: &Key, value: &str| key_edit(&KeyEdit::Replace(value.into()), key).is_ok();
        let (cookie, header, query) =
            (Key::Cookie("c".into()), Key::Header("h".into()), Key::Query("q".into()));
        assert!(replace(&cookie, "a~b") && !replace(&cookie, "a; b=c") && !replace(&cookie, "a\r\n"));
        assert!(replace(&header, "a; b") && !replace(&header, "a\n"));
        assert!(replace(&query, "a%20b") && !replace(&query, "a&b=c") && !replace(&query, "a b"));
        assert!(key(&Key::Header("content-length".into())).is_err());
        assert!(key(&Key::Cookie("".into())).is_err());
    }
}

//! What the benchmark's origin and its load have in common: the little of HTTP/1.1 that both speak. It is meant for
//! traffic that a benchmark makes up, not for that of strangers.

use memchr::memmem;

/// A message's head, as far as either side wants to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes, the empty line included.
    pub length: usize,
    /// The length of the body that follows, in bytes.
    pub body: u64,
    /// Whether the sender closes, or asks to close, the connection after it.
    pub closes: bool,
}

/// Finds a whole head at the start of `bytes`; `None` while there is none.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let length = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let lines = &bytes[..length - 2];
    let (mut body, mut closes) = (0, false);
    for line in memmem::find_iter(lines, b"\r\n").map(|end| &lines[end + 2..]) {
        match line.first() {
            Some(b'c' | b'C') => {}
            _ => continue,
        }
        if let Some(value) = value(line, b"content-length:") {
            body =
                value.iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + u64::from(b - b'0'));
        } else if let Some(value) = value(line, b"connection:") {
            closes = value.get(..5).is_some_and(|token| token.eq_ignore_ascii_case(b"close"));
        }
    }
    Some(Head { length, body, closes })
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name))?;
    Some(line[name.len()..].trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_once_it_is_whole() {
        let bytes = b"POST /b/10 HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nConnection: Close\r\n\r\nabc";
        assert_eq!(head(bytes), Some(Head { length: bytes.len() - 3, body: 12, closes: true }));
        assert_eq!(head(&bytes[..bytes.len() - 5]), None);
        assert_eq!(head(b"GET / HTTP/1.1\r\n\r\n"), Some(Head { length: 18, body: 0, closes: false }));
    }
}

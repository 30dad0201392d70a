//! Answers from policies: what the host takes of them cannot make one message look like two.

use super::Target;
use crate::exchange;
use crate::http::head::ResponseHead;
use crate::http::parse;
use crate::policy::{Amendment, HeaderEdit, Key, KeyEdit, fit};

pub(super) const AMENDMENT: Target = Target::new(
    "amendment",
    &[
        "\n",
        "set ",
        "append ",
        "remove ",
        "replace ",
        "set-cookie",
        "content-length",
        "transfer-encoding",
        "connection",
        "x-a",
        "X-A",
        "date",
        "location",
        "S=a",
        "chunked",
        "\r",
        "\r\n",
        ": ",
        "; ",
        "path=/",
        "5",
        "\u{0}",
        "\u{7f}",
        "é",
        "content_length",
        "trailer",
        "upgrade",
        "keep-alive",
        "status",
        ":status",
    ],
    amendment,
);

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\nSet-Cookie: S=s; path=/\r\nDate: x\r\n\r\n";

/// A line of the input is one change: what, a name, and a value.
fn amendment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut amendment = Amendment::default();
    for line in text.split('\n') {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, value) = (name.to_owned(), value.to_owned());
        match what {
            "set" => amendment.headers.push(HeaderEdit::Set { name, value }),
            "append" => amendment.headers.push(HeaderEdit::Append { name, value }),
            "remove" => amendment.headers.push(HeaderEdit::Remove(name)),
            "replace" => amendment.key = KeyEdit::Replace(rest.to_owned()),
            _ => amendment.key = KeyEdit::Remove,
        }
    }
    for key in [Key::Cookie("S".into()), Key::Header("x-a".into())] {
        let Some(amendment) = fit::amendment(amendment.clone(), &key) else { continue };
        let mut head = ResponseHead::default();
        let read = parse::response(ANSWER, parse::MAX_LINES, false, &mut head);
        assert_eq!(read, Ok(Some(ANSWER.len())));
        let written = exchange::amended_head(&head, &key, &amendment);
        let mut again = ResponseHead::default();
        let read = parse::response(&written, parse::MAX_LINES, false, &mut again);
        assert_eq!(read, Ok(Some(written.len())), "{}", written.escape_ascii());
        assert_eq!((again.framing, again.keep_alive), (head.framing, head.keep_alive));
        let text = String::from_utf8_lossy(&written);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
        assert!(!text.contains('\0'), "{text:?}");
    }
}

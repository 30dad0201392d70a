//! A request's head out of fields, for protocols whose heads are no text. It is the very head that the parser of HTTP/1
//! would make of the same request (a property test holds them against each other), or it is refused.

use super::head::{Known, Line, RequestHead, Slice, Version};
use super::semantics::{
    Author, Malformed, check_target, interpret_request, is_field_value, is_padded, is_token, lower_case_name,
};

/// A head on its way.
#[derive(Debug)]
pub struct RequestBuilder<'h> {
    head: &'h mut RequestHead,
    max_lines: usize,
}

impl<'h> RequestBuilder<'h> {
    /// The head of a request by this method for this target. As in [`super::parse::request`], `max_lines` counts the request
    /// line.
    ///
    /// # Errors
    /// Where the method is no token. What the target is for is found out at the end.
    pub fn begin(
        head: &'h mut RequestHead,
        max_lines: usize,
        method: &[u8],
        target: &[u8],
    ) -> Result<RequestBuilder<'h>, Malformed> {
        if !is_token(method) {
            return Err(Malformed("a method that is not a token"));
        }
        let bytes = &mut head.lines.bytes;
        bytes.clear();
        bytes.extend_from_slice(method);
        bytes.push(b' ');
        bytes.extend_from_slice(target);
        let end = bytes.len();
        bytes.extend_from_slice(b" HTTP/1.1");
        head.request_line = Slice::between(0..bytes.len());
        bytes.extend_from_slice(b"\r\n");
        head.method = Slice::between(0..method.len());
        head.target = Slice::between(method.len() + 1..end);
        head.version = Version::Http11;
        head.lines.lines.clear();
        head.lines.unusual_names = false;
        Ok(RequestBuilder { head, max_lines })
    }

    /// A field that a client has sent.
    ///
    /// # Errors
    /// Where its name or its value is none, or there are too many.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let is_unusual = lower_case_name(name).ok_or(Malformed("an invalid field name"))?;
        if !is_field_value(value) || is_padded(value) {
            return Err(Malformed("an invalid field value"));
        }
        self.head.lines.unusual_names |= is_unusual;
        self.line(name, Known::of(name), value)
    }

    /// A line that stands for what the protocol says otherwise. The name is in lower case.
    ///
    /// # Errors
    /// Where there are too many.
    pub fn line(&mut self, name: &[u8], known: Known, value: &[u8]) -> Result<(), Malformed> {
        debug_assert_eq!(known, Known::of(name));
        let lines = &mut self.head.lines;
        if lines.lines.len() + 1 >= self.max_lines {
            return Err(Malformed("too many header lines"));
        }
        let bytes = &mut lines.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        let end = bytes.len();
        bytes.extend_from_slice(b"\r\n");
        let name = Slice::between(start..start + name.len());
        let value = if value.is_empty() { Slice::default() } else { Slice::between(end - value.len()..end) };
        // An empty value has no place, so that it is written anew, as the parser of text has it.
        let tidy = value != Slice::default();
        lines.lines.push(Line { name, value, known, tidy });
        Ok(())
    }

    /// Ends the head, and says how long it would be in HTTP/1.1, in bytes.
    ///
    /// # Errors
    /// As [`super::parse::request`].
    pub fn finish(self) -> Result<usize, Malformed> {
        let head = self.head;
        head.lines.bytes.extend_from_slice(b"\r\n");
        let length = head.lines.bytes.len();
        interpret_request(head)?;
        check_target(head, Author::Client)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::parse;

    fn built(method: &str, target: &str, fields: &[(String, String)]) -> Result<RequestHead, Malformed> {
        let mut head = RequestHead::default();
        let mut builder = RequestBuilder::begin(&mut head, 101, method.as_bytes(), target.as_bytes())?;
        for (name, value) in fields {
            builder.field(name.as_bytes(), value.as_bytes())?;
        }
        builder.finish()?;
        Ok(head)
    }

    #[test]
    fn what_would_be_another_line_of_text_is_refused() {
        for (name, value) in [
            ("a\r\nb", "c"),
            ("a", "b\r\nc: d"),
            ("a: b", "c"),
            ("A", "b"),
            ("", "b"),
            ("a", " b"),
            ("a", "b\t"),
            ("a", "\0"),
            (":path", "/"),
        ] {
            let fields = [("host".into(), "h".into()), (name.into(), value.into())];
            assert!(built("GET", "/", &fields).is_err(), "{name:?} {value:?}");
        }
        for (method, target) in [
            ("G T", "/"),
            ("", "/"),
            ("GET", ""),
            ("GET", "/ HTTP/1.1\r\na: b\r\n"),
            ("GET", "*"),
            ("PRI", "/"),
        ] {
            assert!(built(method, target, &[("host".into(), "h".into())]).is_err(), "{method:?} {target:?}");
        }
    }

    #[test]
    fn there_are_no_more_lines_than_allowed() {
        let fields = |count: usize| {
            let fields = (1..count).map(|number| (format!("x-{number}"), String::new()));
            std::iter::once(("host".to_owned(), "h".to_owned())).chain(fields).collect::<Vec<_>>()
        };
        assert!(built("GET", "/", &fields(100)).is_ok());
        assert!(built("GET", "/", &fields(101)).is_err());
    }

    proptest! {
        #[test]
        fn it_is_the_head_that_the_parser_of_text_makes_or_none(
            method in "GET|HEAD|OPTIONS|CONNECT|POST|PRI|G\\(T|get",
            target in "((http|a\\?)(://|:/)|)([a-b_.]{0,3})(:[0-9]{0,3}|)(/|)[a/.\"<* ]{0,3}(\\?[a=?&/]{0,3}|)",
            host in "|[a-b_.]{0,3}(:|:80|:443|)|a@b",
            fields in proptest::collection::vec(
                ("content-length|transfer-encoding|connection|upgrade|cookie|authorization|host|x_a|[a-z]{1,2}|A", "[0-3]|chunked|upgrade, x|websocket|NTLM a|[ab:\t\r\n ]{0,4}"),
                0..5,
            ),
        ) {
            let mut fields = fields;
            if !host.is_empty() {
                fields.insert(0, ("host".into(), host));
            }
            let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let text = format!("{method} {target} HTTP/1.1\r\n{lines}\r\n");
            let mut parsed = RequestHead::default();
            let is_parsed = parse::request(text.as_bytes(), 101, &mut parsed) == Ok(Some(text.len()));
            if let Ok(head) = built(&method, &target, &fields) {
                prop_assert!(is_parsed, "{text:?}");
                prop_assert_eq!(format!("{head:?}"), format!("{parsed:?}"));
            } else {
                // What has other lines as text, or is written in capitals or with spaces, is refused here alone.
                let is_text = fields.iter().any(|(name, value)| {
                    name == "A" || is_padded(value.as_bytes()) || value.contains(['\r', '\n'])
                });
                prop_assert!(!is_parsed || is_text || target.contains(' '), "{text:?}");
            }
        }
    }
}

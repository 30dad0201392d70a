//! When a head that is still coming is worth another look.
//!
//! A head is read from its start each time, so that whoever sends it byte by byte could have all of it read for each.
//! Where it is short that is cheap, and shows at once what can be no head; from there on it is read where a line has ended.

/// Up to here a head that is not whole is looked at with each byte that comes.
const EAGER: usize = 1024;

/// How far a head has been looked at.
#[derive(Debug, Default)]
pub struct Arrival {
    looked_at: usize,
}

impl Arrival {
    /// Whether to look at what has come by now, which is one piece more than when this was asked last. Past `most` bytes
    /// there is nothing to wait for.
    pub fn is_worth_a_look(&mut self, bytes: &[u8], most: usize) -> bool {
        let news = bytes.get(self.looked_at..).unwrap_or_default();
        let worth = bytes.len() <= EAGER || bytes.len() > most || memchr::memchr(b'\n', news).is_some();
        self.looked_at = bytes.len();
        worth
    }

    /// Begins again: the next head comes.
    pub fn restart(&mut self) {
        self.looked_at = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::head::{RequestHead, ResponseHead};
    use crate::http::parse;
    use crate::http::semantics::Malformed;

    #[test]
    fn a_head_that_comes_byte_by_byte_is_looked_at_once_a_line() {
        let head = [&b"GET / HTTP/1.1\r\nx: "[..], &[b'a'; 8000], b"\r\ny: z\r\n\r\n"].concat();
        let mut arrival = Arrival::default();
        let looks = |from: usize, to: usize, arrival: &mut Arrival| {
            (from..=to).filter(|end| arrival.is_worth_a_look(&head[..*end], 15_000)).count()
        };
        assert_eq!(looks(1, EAGER, &mut arrival), EAGER);
        assert_eq!(looks(EAGER + 1, head.len(), &mut arrival), 3);
        arrival.restart();
        assert!(arrival.is_worth_a_look(&head[..2000], 15_000), "its first line has ended");
        assert!(!arrival.is_worth_a_look(&head[..2001], 15_000));
        assert!(arrival.is_worth_a_look(&head[..2002], 2001), "it is too long");
    }

    /// What is made of bytes that come in these pieces: the length of the head and what is known of it, `None` where it
    /// does not end, or that it is none.
    fn read<'a, Made>(
        pieces: impl Iterator<Item = &'a [u8]>,
        mut parse: impl FnMut(&[u8]) -> Result<Option<usize>, Malformed>,
        made: impl FnOnce(Option<usize>) -> Made,
    ) -> Option<Made> {
        let (mut arrival, mut held) = (Arrival::default(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            if !arrival.is_worth_a_look(&held, 4096) {
                continue;
            }
            match parse(&held) {
                Ok(Some(length)) => return Some(made(Some(length))),
                Ok(None) if held.len() <= 4096 => {}
                Ok(None) | Err(_) => return None,
            }
        }
        Some(made(None))
    }

    fn request<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<String> {
        let head = std::cell::RefCell::new(RequestHead::default());
        let parse = |bytes: &[u8]| parse::request(bytes, 10, &mut head.borrow_mut());
        read(pieces, parse, |length| format!("{length:?} {:?}", length.map(|_| head.borrow().clone())))
    }

    fn response<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<String> {
        let head = std::cell::RefCell::new(ResponseHead::default());
        let parse = |bytes: &[u8]| parse::response(bytes, 10, false, &mut head.borrow_mut());
        read(pieces, parse, |length| format!("{length:?} {:?}", length.map(|_| head.borrow().clone())))
    }

    const LINE: &str = "(host|connection|upgrade|content-length|transfer-encoding|x-a)[: ]{1,2}(x|3|chunked|h2c|close|b\t|,){0,2}";
    const END: &str = "(\r\n|\r\n|\r\n|\r\n|\r\n|\n|\r|\r\n )";

    /// Heads that are nearly right, with a long line in some and something behind all.
    fn heads(first: &'static str) -> impl Strategy<Value = String> {
        let lines = proptest::collection::vec((LINE, END), 0..5);
        (first, END, lines, 0usize..3).prop_map(|(first, end, lines, long)| {
            let long = if long == 2 { format!("x-long: {}\r\n", "a".repeat(1500)) } else { String::new() };
            let lines: String = lines.into_iter().map(|(line, end)| line + &end).collect();
            first + &end + &long + &lines + "\r\nrest"
        })
    }

    proptest! {
        #[test]
        fn however_a_requests_head_comes_it_is_read_the_same(
            text in heads("(\r\n)?(GET|POST|CONNECT) (/|http://x/|x:1|/a b) HTTP/1[.][012]"),
        ) {
            let whole = request([text.as_bytes()].into_iter());
            prop_assert_eq!(&whole, &request(text.as_bytes().chunks(1)));
            for at in (1..text.len()).take(300) {
                let (one, two) = text.as_bytes().split_at(at);
                prop_assert_eq!(&whole, &request([one, two].into_iter()), "{}", at);
            }
        }

        #[test]
        fn however_a_responses_head_comes_it_is_read_the_same(
            text in heads("(\r\n)?HTTP/1[.][012]( |  )(099|101|200|304|426|20|2000)( |)(OK|\u{e9}|)"),
        ) {
            let whole = response([text.as_bytes()].into_iter());
            prop_assert_eq!(&whole, &response(text.as_bytes().chunks(1)));
            for at in (1..text.len()).take(300) {
                let (one, two) = text.as_bytes().split_at(at);
                prop_assert_eq!(&whole, &response([one, two].into_iter()), "{}", at);
            }
        }
    }
}

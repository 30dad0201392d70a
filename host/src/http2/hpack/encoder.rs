//! Writes header blocks: names and statuses by the static table, all else as literals that nobody's table keeps.

use super::table::STATIC;

/// Where the names of the static table begin that a response may have: `:status`, and all that are no pseudo-header fields.
const STATUS: u8 = 8;

/// A literal field that is not entered into the table (section 6.2.2).
const LITERAL: u8 = 0x00;

/// Writes `:status`.
pub(crate) fn write_status(status: u16, out: &mut Vec<u8>) {
    debug_assert!((100..1000).contains(&status));
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            write_integer(usize::from(STATUS), 4, LITERAL, out);
            return write_string(itoa::Buffer::new().format(status).as_bytes(), out);
        }
    };
    out.push(0x80 | index);
}

/// Writes a field, whose name is in lower case.
pub(crate) fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    write_joined_field(name, [value, b""], out);
}

/// Writes a field whose value is in two parts.
pub(crate) fn write_joined_field(name: &[u8], value: [&[u8]; 2], out: &mut Vec<u8>) {
    debug_assert!(!name.iter().any(u8::is_ascii_uppercase), "{name:?}");
    match index_of(name) {
        Some(index) => write_integer(index.into(), 4, LITERAL, out),
        None => {
            out.push(LITERAL);
            write_string(name, out);
        }
    }
    let [first, rest] = value;
    write_integer(first.len() + rest.len(), 7, 0, out);
    out.extend_from_slice(first);
    out.extend_from_slice(rest);
}

/// Says that what is written here needs no table: due once the peer has made its own smaller (section 4.2).
pub(crate) fn write_table_size_of_none(out: &mut Vec<u8>) {
    out.push(0x20);
}

/// The index of a name in the static table. Names are told apart by their length before they are compared.
fn index_of(name: &[u8]) -> Option<u8> {
    let mut index = *FIRST_OF.get(name.len())?;
    while index != 0 {
        let (known, _) = STATIC[usize::from(index) - 1];
        if known.as_bytes() == name {
            return Some(index);
        }
        index = NEXT[usize::from(index)];
    }
    None
}

const LONGEST: usize = 27;
/// Names of a length are a chain: its first index, and each one's next. 0 ends it.
static FIRST_OF: [u8; LONGEST + 1] = chains().0;
static NEXT: [u8; STATIC.len() + 1] = chains().1;

const fn chains() -> ([u8; LONGEST + 1], [u8; STATIC.len() + 1]) {
    let (mut first_of, mut next) = ([0; LONGEST + 1], [0; STATIC.len() + 1]);
    let mut index = STATIC.len();
    while index > 0 {
        let name = STATIC[index - 1].0.as_bytes();
        if name[0] != b':' {
            next[index] = first_of[name.len()];
            first_of[name.len()] = index as u8;
        }
        index -= 1;
    }
    (first_of, next)
}

/// Writes an integer behind bits that are set in its first byte (section 5.1).
fn write_integer(value: usize, prefix: u8, bits: u8, out: &mut Vec<u8>) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        return out.push(bits | value as u8);
    }
    out.push(bits | mask as u8);
    let mut left = value - mask;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// Writes a string as it is.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    write_integer(text.len(), 7, 0, out);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http2::hpack::Decoder;

    #[test]
    fn names_of_the_static_table_are_found_there() {
        for (index, (name, _)) in STATIC.iter().enumerate() {
            let found = index_of(name.as_bytes());
            assert_eq!(found, (!name.starts_with(':')).then_some(index as u8 + 1), "{name}");
        }
        for other in ["", "x", "content-typf", "content-lengthx", "zzz", "access-control-allow-origins"] {
            assert_eq!(index_of(other.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            status in 100_u16..1000,
            fields in proptest::collection::vec(("[a-z-]{1,12}|content-type|set-cookie", "[ -~]{0,300}", "[ -~]{0,9}"), 0..6),
        ) {
            let mut block = Vec::new();
            write_table_size_of_none(&mut block);
            write_status(status, &mut block);
            for (name, value, rest) in &fields {
                write_joined_field(name.as_bytes(), [value.as_bytes(), rest.as_bytes()], &mut block);
            }
            let mut read = Vec::new();
            let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
            prop_assert_eq!(Decoder::default().read(&block, |name, value| read.push((text(name), text(value)))), Ok(()));
            let expected = std::iter::once((":status".to_owned(), status.to_string()));
            let expected = expected.chain(fields.into_iter().map(|(name, value, rest)| (name, value + &rest)));
            prop_assert!(read.into_iter().eq(expected));
        }
    }
}

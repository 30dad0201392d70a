//! Header blocks (RFC 7541), followed as far as it takes to know what their pseudo-header fields say.
//!
//! hyper decodes them again, and has a table of its own; both hold the same entries as long as they see the same fields.
//! So nothing here is guessed: what cannot be followed is an error, and so it is one for hyper.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// The size of the table that a client may count on, and that nobody raises here (section 4.2).
const MAX_TABLE: usize = 4_096;
/// Where literals are decoded is kept up to this size: most fit, and idle connections are small.
const KEPT: usize = 256;
/// What an entry takes beside its name and value (section 4.1).
const OVERHEAD: usize = 32;

/// A block that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What a field is, as far as anybody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    /// That of any other field.
    Other,
    /// None: the text is itself the name of another field.
    OfField,
}

/// What a field stands for that hyper would not take, and had replaced by another of the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replaced {
    /// A path with these bytes, in their order, where marks stand.
    Path(Box<[u8]>),
    /// Nothing that a request may have.
    Malformed,
    /// A name that no request may have, whatever value stands behind it.
    MalformedName,
}

/// A literal value, and of which field; or a literal name.
#[derive(Debug)]
pub(super) struct Literal<'b> {
    pub(super) name: Name,
    pub(super) value: &'b [u8],
}

/// What is to stand in a block in another literal's place.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) range: Range<usize>,
    pub(super) value: Vec<u8>,
}

/// The dynamic table of one direction.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    /// How much less than [`MAX_TABLE`] the client has it hold.
    cut: usize,
    /// Where literals are decoded.
    text: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Name,
    name_length: u16,
    size: u16,
    replaced: Option<Rc<Replaced>>,
}

/// What was found in a block.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Literals in whose place others are to stand, in their order.
    pub(super) replacements: Vec<Replacement>,
    /// What fields stand for that were replaced, in this block or in one before it.
    pub(super) replaced: Vec<Rc<Replaced>>,
    /// Whether it has a scheme, and whether it has a path.
    has_scheme: bool,
    has_path: bool,
}

impl Found {
    fn note(&mut self, name: Name) {
        self.has_scheme |= name == Name::Scheme;
        self.has_path |= name == Name::Path;
    }

    /// Notes that another literal is to stand there, in place of one of such a length.
    fn replace(&mut self, range: Range<usize>, length: usize, other: (Vec<u8>, Replaced)) -> Rc<Replaced> {
        let (value, meant) = (other.0, Rc::new(other.1));
        debug_assert_eq!(value.len(), length, "the tables would part");
        self.replacements.push(Replacement { range, value });
        self.replaced.push(meant.clone());
        meant
    }
}

impl Table {
    /// Follows a block. `judge` sees each literal, and says where another of its length is to stand in its place.
    pub(super) fn follow(
        &mut self,
        block: &[u8],
        mut judge: impl FnMut(Literal<'_>) -> Option<(Vec<u8>, Replaced)>,
    ) -> Result<Found, Unreadable> {
        let mut found = Found::default();
        let mut at = 0;
        while let Some(first) = block.get(at) {
            match first {
                0x80.. => {
                    let index = integer(block, &mut at, 7)?;
                    let (name, _, replaced) = self.indexed(index)?;
                    found.note(name);
                    found.replaced.extend(replaced);
                }
                0x40.. => self.literal(block, &mut at, 6, &mut judge, &mut found)?,
                0x20.. => {
                    let size = integer(block, &mut at, 5)?;
                    self.cut = MAX_TABLE.checked_sub(size).ok_or(Unreadable)?;
                    self.make_room(0);
                }
                _ => self.literal(block, &mut at, 4, &mut judge, &mut found)?,
            }
        }
        if self.text.capacity() > KEPT {
            self.text = Vec::new();
        }
        // The h2 library takes a request without a path for one of `/`, where it names its host by a field (RFC 9113,
        // section 8.3.1). What may have none, a CONNECT, has no scheme either.
        if found.has_scheme && !found.has_path {
            found.replaced.push(Rc::new(Replaced::Malformed));
        }
        Ok(found)
    }

    /// A literal field whose name's index has a prefix of so many bits: of six, where it is entered into the table.
    fn literal(
        &mut self,
        block: &[u8],
        at: &mut usize,
        prefix: u8,
        judge: &mut impl FnMut(Literal<'_>) -> Option<(Vec<u8>, Replaced)>,
        found: &mut Found,
    ) -> Result<(), Unreadable> {
        let index = integer(block, at, prefix)?;
        let (name, name_length, bad_name) = if index == 0 {
            let start = *at;
            let text = self.text(block, at)?;
            let (name, length) = (named(text), text.len());
            let other =
                if name == Name::Other { judge(Literal { name: Name::OfField, value: text }) } else { None };
            (name, length, other.map(|other| found.replace(start..*at, length, other)))
        } else {
            let (name, length, replaced) = self.indexed(index)?;
            let bad_name = replaced.filter(|replaced| **replaced == Replaced::MalformedName);
            found.replaced.extend(bad_name.clone());
            (name, length, bad_name)
        };
        found.note(name);
        let start = *at;
        let text = self.text(block, at)?;
        let value_length = text.len();
        let other = judge(Literal { name, value: text });
        let replaced = other.map(|other| found.replace(start..*at, value_length, other));
        if prefix == 6 {
            self.enter(name, name_length, value_length, bad_name.or(replaced));
        }
        Ok(())
    }

    /// The string that stands there, decoded.
    fn text<'t>(&'t mut self, block: &'t [u8], at: &mut usize) -> Result<&'t [u8], Unreadable> {
        let (coded, text) = string(block, at)?;
        if !coded {
            return Ok(text);
        }
        self.text.clear();
        decode(text, |byte| self.text.push(byte))?;
        Ok(&self.text)
    }

    /// The name of the entry with this index, its length, and what its value stands for.
    fn indexed(&self, index: usize) -> Result<(Name, usize, Option<Rc<Replaced>>), Unreadable> {
        if let Some(length) = STATIC_NAMES.get(index) {
            let name = match index {
                0 => return Err(Unreadable),
                1 => Name::Authority,
                2 | 3 => Name::Method,
                4 | 5 => Name::Path,
                6 | 7 => Name::Scheme,
                _ => Name::Other,
            };
            return Ok((name, usize::from(*length), None));
        }
        let entry = self.entries.get(index - STATIC_NAMES.len()).ok_or(Unreadable)?;
        Ok((entry.name, entry.name_length.into(), entry.replaced.clone()))
    }

    fn enter(&mut self, name: Name, name_length: usize, value_length: usize, replaced: Option<Rc<Replaced>>) {
        let size = name_length + value_length + OVERHEAD;
        self.make_room(size);
        if self.size + size <= MAX_TABLE - self.cut {
            self.size += size;
            // Nothing that fits into the table is longer than 16 bits can say.
            self.entries.push_front(Entry {
                name,
                name_length: name_length as u16,
                size: size as u16,
                replaced,
            });
        }
    }

    fn make_room(&mut self, size: usize) {
        while self.size + size > MAX_TABLE - self.cut {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= usize::from(entry.size);
        }
    }
}

fn named(name: &[u8]) -> Name {
    match name {
        b":method" => Name::Method,
        b":scheme" => Name::Scheme,
        b":authority" => Name::Authority,
        b":path" => Name::Path,
        _ => Name::Other,
    }
}

/// How long the names of the static table are, by their index (appendix A).
const STATIC_NAMES: [u8; 62] = [
    0, 10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16,
    13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4,
    3, 16,
];

/// An integer whose first byte has so many bits for it (section 5.1).
fn integer(block: &[u8], at: &mut usize, prefix: u8) -> Result<usize, Unreadable> {
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(*block.get(*at).ok_or(Unreadable)?) & mask;
    *at += 1;
    if value < mask {
        return Ok(value);
    }
    // Four bytes more are as many as hyper takes, and more than any block is long.
    for shift in [0, 7, 14, 21] {
        let byte = *block.get(*at).ok_or(Unreadable)?;
        *at += 1;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Unreadable)
}

/// A string, and whether it is Huffman's code (section 5.2).
fn string<'b>(block: &'b [u8], at: &mut usize) -> Result<(bool, &'b [u8]), Unreadable> {
    let coded = block.get(*at).ok_or(Unreadable)? & 0x80 != 0;
    let length = integer(block, at, 7)?;
    let text = block.get(*at..).and_then(|rest| rest.get(..length)).ok_or(Unreadable)?;
    *at += length;
    Ok((coded, text))
}

/// How long the field is, or the change of the table's size, with which this part of a block begins.
pub(super) fn field_length(block: &[u8]) -> Result<usize, Unreadable> {
    let mut at = 0;
    let (prefix, is_literal) = match block.first().ok_or(Unreadable)? {
        0x80.. => (7, false),
        0x40.. => (6, true),
        0x20.. => (5, false),
        _ => (4, true),
    };
    let index = integer(block, &mut at, prefix)?;
    if is_literal && index == 0 {
        string(block, &mut at)?;
    }
    if is_literal {
        string(block, &mut at)?;
    }
    Ok(at)
}

/// Writes a string as it is.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let mut length = text.len();
    if length < 0x7f {
        out.push(length as u8);
    } else {
        out.push(0x7f);
        length -= 0x7f;
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(text);
}

/// How many bits the code of each byte has (appendix B). Among codes of one length, and from length to length, they count
/// up: no more than this is needed to know them.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const LONGEST: usize = 30;
/// So many bits are looked up at once: the codes of all letters and digits are shorter.
const FAST: usize = 8;

/// The codes, for reading.
struct Codes {
    /// For each beginning of a code: its length, and the byte it stands for. A length of 0: it is longer than that.
    fast: [(u8, u8); 1 << FAST],
    /// For each length: its first code, where that stands in `bytes`, and how many there are.
    first: [(u32, u16, u16); LONGEST + 1],
    /// The bytes in the order of their codes.
    bytes: [u8; 256],
}

static CODES: Codes = codes();

const fn codes() -> Codes {
    let mut codes = Codes { fast: [(0, 0); 1 << FAST], first: [(0, 0, 0); LONGEST + 1], bytes: [0; 256] };
    let (mut code, mut place, mut length) = (0_u32, 0_usize, 1);
    while length <= LONGEST {
        code <<= 1;
        codes.first[length] = (code, place as u16, 0);
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                codes.bytes[place] = byte as u8;
                if length <= FAST {
                    let start = (code as usize) << (FAST - length);
                    let mut rest = 0;
                    while rest < 1 << (FAST - length) {
                        codes.fast[start + rest] = (length as u8, byte as u8);
                        rest += 1;
                    }
                }
                codes.first[length].2 += 1;
                code += 1;
                place += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    codes
}

/// Hands on each byte of a string in Huffman's code.
fn decode(text: &[u8], mut each: impl FnMut(u8)) -> Result<(), Unreadable> {
    // The bits at hand, the first of them on top.
    let (mut bits, mut count, mut rest) = (0_u64, 0, text.iter());
    loop {
        while count <= 56 {
            let Some(byte) = rest.next() else { break };
            bits |= u64::from(*byte) << (56 - count);
            count += 8;
        }
        let (mut length, mut byte) = CODES.fast[(bits >> (64 - FAST)) as usize];
        if length == 0 {
            (length, byte) = long_code(bits).unwrap_or((u8::MAX, 0));
        }
        if usize::from(length) > count {
            // What is left is no code: fewer than eight bits, all of them set, or a mistake.
            let is_padding = count < 8 && bits == !(u64::MAX >> count);
            return if is_padding { Ok(()) } else { Err(Unreadable) };
        }
        each(byte);
        bits <<= length;
        count -= usize::from(length);
    }
}

fn long_code(bits: u64) -> Option<(u8, u8)> {
    (FAST + 1..=LONGEST).find_map(|length| {
        let (first, place, count) = CODES.first[length];
        let number = ((bits >> (64 - length)) as u32).checked_sub(first)?;
        (number < u32::from(count)).then(|| (length as u8, CODES.bytes[usize::from(place) + number as usize]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Follows a block in which nothing is replaced; what pseudo-header fields were literals in it.
    fn follow(table: &mut Table, block: &[u8]) -> Result<Vec<(Name, String)>, Unreadable> {
        let mut seen = Vec::new();
        let found = table.follow(block, |field| {
            if !matches!(field.name, Name::Other | Name::OfField) {
                seen.push((field.name, String::from_utf8(field.value.to_vec()).unwrap()));
            }
            None
        })?;
        assert!(found.replaced.is_empty() && found.replacements.is_empty());
        Ok(seen)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    /// The sizes of the entries, the newest first.
    fn sizes(table: &Table) -> Vec<u16> {
        table.entries.iter().map(|entry| entry.size).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_followed() {
        // Appendix C.3, as they are, and C.4, in Huffman's code.
        for blocks in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            let mut table = Table::default();
            let blocks = blocks.map(bytes);
            let host = vec![(Name::Authority, "www.example.com".to_owned())];
            assert_eq!(follow(&mut table, &blocks[0]), Ok(host));
            assert_eq!(sizes(&table), [57]);
            assert_eq!(follow(&mut table, &blocks[1]), Ok(vec![]));
            assert_eq!(sizes(&table), [53, 57]);
            assert_eq!(follow(&mut table, &blocks[2]), Ok(vec![]));
            assert_eq!((sizes(&table), table.size), (vec![54, 53, 57], 164));
        }
    }

    #[test]
    fn what_was_replaced_stays_replaced_for_as_long_as_the_table_holds_it() {
        let mut table = Table::default();
        let bad = |field: Literal<'_>| {
            (field.value == b"/<").then(|| (b"/|".to_vec(), Replaced::Path((*b"<").into())))
        };
        let path = b"\x44\x02/<";
        let found = table.follow(path, bad).unwrap();
        assert_eq!(found.replacements[0].range, 1..4);
        let meant = |table: &mut Table, block: &[u8]| {
            let found = table.follow(block, bad).unwrap();
            found.replaced.first().map(|replaced| (**replaced).clone())
        };
        assert_eq!(meant(&mut table, b"\xbe"), Some(Replaced::Path((*b"<").into())), "named by its index");
        assert_eq!(meant(&mut table, b"\x7e\x01/"), None, "its name alone");
        assert_eq!(meant(&mut table, b"\xbe"), None, "another has come before it");
        assert_eq!(meant(&mut table, b"\xbf"), Some(Replaced::Path((*b"<").into())));
        assert_eq!(meant(&mut table, b"\x20\x3f\xe1\x1f"), None, "emptied, and as large as before");
        assert_eq!(table.follow(b"\xbe", bad).err(), Some(Unreadable));
        assert_eq!(meant(&mut table, b"\x04\x02/<"), Some(Replaced::Path((*b"<").into())), "not entered");
        assert!(table.entries.is_empty());
    }

    #[test]
    fn a_name_that_was_replaced_is_so_with_each_value_behind_it() {
        let mut table = Table::default();
        let bad =
            |field: Literal<'_>| (field.value == b"X").then(|| (b"x".to_vec(), Replaced::MalformedName));
        let found = table.follow(b"\x40\x01X\x01y", bad).unwrap();
        assert_eq!((found.replacements.len(), found.replacements[0].range.clone()), (1, 1..3));
        for block in [&b"\xbe"[..], b"\x7e\x01z", b"\xbe", b"\xbf", b"\x0f\x2f\x01z"] {
            let found = table.follow(block, bad).unwrap();
            assert_eq!(found.replaced.len(), 1, "{block:?}");
            assert!(found.replacements.is_empty());
        }
    }

    #[test]
    fn the_table_holds_no_more_than_it_may() {
        let mut table = Table::default();
        let entry = [&b"\x40\x01a\x7f\x81\x07"[..], &[b'b'; 1024]].concat();
        for count in [1, 2, 3, 3, 3] {
            follow(&mut table, &entry).unwrap();
            assert_eq!((table.entries.len(), table.size), (count, count * (1024 + 1 + 32)));
        }
        let large = [&b"\x40\x01a\x7f\x81\x1f"[..], &[b'b'; 4096]].concat();
        follow(&mut table, &large).unwrap();
        assert_eq!((table.entries.len(), table.size), (0, 0), "one that does not fit empties it");
    }

    #[test]
    fn blocks_that_are_none_are_errors() {
        for block in [
            "80",
            "ff",
            "ffffffffffff",
            "be",
            "3fe21f",
            "44",
            "4402",
            "440261",
            "40",
            "4001",
            "400161",
            "04ff",
            "4481",
            "4482ff",
            "44840000",
            "4484fffffffc",
            "4481f9ff",
            "4482ffff",
            "7f",
        ] {
            assert_eq!(follow(&mut Table::default(), &bytes(block)), Err(Unreadable), "{block}");
        }
        assert!(follow(&mut Table::default(), &bytes("3fe11f")).is_ok());
    }

    #[test]
    fn strings_are_written_with_their_lengths() {
        for length in [0, 1, 126, 127, 128, 254, 255, 5_000] {
            let text = vec![b'a'; length];
            let mut written = Vec::new();
            write_string(&text, &mut written);
            let mut at = 0;
            assert_eq!(string(&written, &mut at), Ok((false, &text[..])));
            assert_eq!(at, written.len());
        }
    }

    /// A text in Huffman's code, by what [`LENGTHS`] say alone.
    fn coded(text: &[u8]) -> Vec<u8> {
        let mut order: Vec<usize> = (0..256).collect();
        order.sort_by_key(|byte| LENGTHS[*byte]);
        let (mut codes, mut code, mut before) = ([0_u32; 256], 0_u32, 0);
        for byte in order {
            code <<= LENGTHS[byte] - before;
            (codes[byte], before) = (code, LENGTHS[byte]);
            code += 1;
        }
        let mut bits: String = text
            .iter()
            .map(|byte| {
                format!("{:0width$b}", codes[usize::from(*byte)], width = LENGTHS[usize::from(*byte)].into())
            })
            .collect();
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn huffmans_code_is_read_back(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut read = Vec::new();
            prop_assert_eq!(decode(&coded(&text), |byte| read.push(byte)), Ok(()));
            prop_assert_eq!(read, text);
        }

        #[test]
        fn no_bytes_panic(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)) {
            let mut table = Table::default();
            for block in blocks {
                let _ = table.follow(&block, |field| Some((field.value.to_vec(), Replaced::Malformed)));
                prop_assert!(table.size <= MAX_TABLE);
            }
        }
    }
}

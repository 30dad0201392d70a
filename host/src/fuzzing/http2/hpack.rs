//! Header blocks as RFC 7541 has them, read and written in the plainest way: what others read is held against this, so it
//! shares nothing with them.

/// The size of the dynamic table that a client may count on (section 4.2).
const TABLE: usize = 4_096;
/// The number of entries of the static table.
const STATIC: usize = 61;

/// A field: its name and its value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// Reads the blocks of one connection, in their order.
pub(super) struct Decoder {
    /// The newest first.
    entries: Vec<Field>,
    limit: usize,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { entries: Vec::new(), limit: TABLE }
    }

    /// The fields of a block; `None` where it is none, behind which nobody may read another block.
    pub(super) fn block(&mut self, mut bytes: &[u8]) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        while let Some(first) = bytes.first().copied() {
            let (prefix, is_entered) = match first {
                0x80.. => {
                    let index = integer(&mut bytes, 7)?;
                    fields.push(self.entry(index)?);
                    continue;
                }
                0x40.. => (6, true),
                0x20.. => {
                    let size = integer(&mut bytes, 5)?;
                    // Sizes are changed at the beginning of a block, and not beyond what was agreed (sections 4.2 and 6.3).
                    if size > TABLE || !fields.is_empty() {
                        return None;
                    }
                    self.limit = size;
                    self.evict();
                    continue;
                }
                _ => (4, false),
            };
            let name = match integer(&mut bytes, prefix)? {
                0 => string(&mut bytes)?,
                index => self.entry(index)?.0,
            };
            let value = string(&mut bytes)?;
            if is_entered {
                self.entries.insert(0, (name.clone(), value.clone()));
                self.evict();
            }
            fields.push((name, value));
        }
        Some(fields)
    }

    fn entry(&self, index: usize) -> Option<Field> {
        match index.checked_sub(1)? {
            index if index < STATIC => {
                let (name, value) = STATIC_TABLE[index];
                Some((name.into(), value.into()))
            }
            index => self.entries.get(index - STATIC).cloned(),
        }
    }

    /// Takes out the oldest entries until the table is as small as it must be (section 4.4).
    fn evict(&mut self) {
        while self.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>()
            > self.limit
        {
            self.entries.pop();
        }
    }
}

fn integer(bytes: &mut &[u8], prefix: u32) -> Option<usize> {
    let most = (1 << prefix) - 1;
    let mut take = || {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(usize::from(*first))
    };
    let first = take()? & most;
    if first < most {
        return Some(first);
    }
    let mut value = most;
    for shift in (0..42).step_by(7) {
        let byte = take()?;
        value += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn string(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let is_coded = *bytes.first()? >= 0x80;
    let length = integer(bytes, 7)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    if is_coded { huffman(text) } else { Some(text.to_vec()) }
}

/// Reads Huffman's code bit by bit.
fn huffman(text: &[u8]) -> Option<Vec<u8>> {
    let (first, order) = codes();
    let mut out = Vec::new();
    let (mut code, mut length) = (0_u32, 0_usize);
    for bit in text.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1))) {
        (code, length) = (code << 1 | bit, length + 1);
        let (start, place, count) = *first.get(length)?;
        if let Some(number) = code.checked_sub(start).filter(|number| *number < count) {
            out.push(order[place + number as usize]);
            (code, length) = (0, 0);
        }
    }
    // What is left is the beginning of the longest code, which has ones alone, and shorter than a byte (section 5.2).
    (length < 8 && code == (1 << length) - 1).then_some(out)
}

/// For each length its first code, where its codes begin in the order of all, and how many there are; and that order.
fn codes() -> ([(u32, usize, u32); 31], Vec<u8>) {
    let mut first = [(0, 0, 0); 31];
    let mut order = Vec::with_capacity(256);
    let mut code = 0;
    for length in 1..=30_u8 {
        code <<= 1;
        let place = order.len();
        order.extend((0..=255).filter(|byte| LENGTHS[usize::from(*byte)] == length));
        let count = (order.len() - place) as u32;
        first[usize::from(length)] = (code, place, count);
        code += count;
    }
    (first, order)
}

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Huffman,
}

/// Writes an integer behind the bits that go before it in its first byte.
pub(super) fn write_integer(before: u8, prefix: u32, value: usize, out: &mut Vec<u8>) {
    let most = (1 << prefix) - 1;
    if value < most {
        return out.push(before | value as u8);
    }
    out.push(before | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Writes a string.
pub(super) fn write_string(text: &[u8], coding: Coding, out: &mut Vec<u8>) {
    if coding == Coding::Plain {
        write_integer(0, 7, text.len(), out);
        return out.extend_from_slice(text);
    }
    let (first, order) = codes();
    let mut bits = Vec::new();
    for byte in text {
        let length = usize::from(LENGTHS[usize::from(*byte)]);
        let (start, place, count) = first[length];
        let number = order[place..][..count as usize].iter().position(|other| other == byte);
        let code = start + number.unwrap_or_default() as u32;
        bits.extend((0..length).rev().map(|at| code >> at & 1));
    }
    let bytes = bits.chunks(8).map(|bits| {
        let byte = bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8);
        let missing = 8 - bits.len();
        ((u16::from(byte) << missing) | ((1 << missing) - 1)) as u8
    });
    let bytes: Vec<u8> = bytes.collect();
    write_integer(0x80, 7, bytes.len(), out);
    out.extend(bytes);
}

/// How many bits the code of each byte has (appendix B).
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

/// The static table (appendix A).
#[rustfmt::skip]
const STATIC_TABLE: [(&str, &str); STATIC] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

//! Reads header blocks.

use super::table::Table;
use super::{Unreadable, huffman};

/// Where literals are decoded is kept up to this size, in bytes: most fit, and idle connections are small.
const KEPT: usize = 256;

/// A reader of the blocks that come on one connection.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    table: Table,
    /// A literal field's name and value, decoded.
    text: Vec<u8>,
}

impl Decoder {
    /// Reads a block, and hands on each field: its name and its value, as they were sent.
    ///
    /// # Errors
    /// Where it cannot be read to its end.
    pub(crate) fn read(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Unreadable> {
        let (mut at, mut begun) = (0, false);
        while let Some(first) = block.get(at) {
            match first {
                0x80.. => {
                    let (name, value) = self.table.field(integer(block, &mut at, 7)?)?;
                    each(name, value);
                }
                // A change of the table's size stands at the beginning of a block (RFC 7541, section 4.2).
                0x20..0x40 if begun => return Err(Unreadable),
                0x20..0x40 => {
                    let size = integer(block, &mut at, 5)?;
                    self.table.resize(size)?;
                    continue;
                }
                0x40.. => self.literal(block, &mut at, true, &mut each)?,
                _ => self.literal(block, &mut at, false, &mut each)?,
            }
            begun = true;
        }
        if self.text.capacity() > KEPT {
            self.text = Vec::new();
        }
        Ok(())
    }

    /// A literal field, which is entered into the table or not (section 6.2).
    fn literal(
        &mut self,
        block: &[u8],
        at: &mut usize,
        enters: bool,
        each: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Unreadable> {
        let index = integer(block, at, if enters { 6 } else { 4 })?;
        self.text.clear();
        if index == 0 {
            string(block, at, &mut self.text)?;
        } else {
            self.text.extend_from_slice(self.table.field(index)?.0);
        }
        let name = self.text.len();
        string(block, at, &mut self.text)?;
        let (key, value) = self.text.split_at(name);
        each(key, value);
        if enters {
            self.table.enter(&self.text, name);
        }
        Ok(())
    }
}

/// An integer whose first byte has so many bits for it (section 5.1).
fn integer(block: &[u8], at: &mut usize, prefix: u8) -> Result<usize, Unreadable> {
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(*block.get(*at).ok_or(Unreadable)?) & mask;
    *at += 1;
    if value < mask {
        return Ok(value);
    }
    // Four bytes more say more than any block is long.
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

/// Appends a string (section 5.2).
fn string(block: &[u8], at: &mut usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let coded = block.get(*at).ok_or(Unreadable)? & 0x80 != 0;
    let length = integer(block, at, 7)?;
    let text = block.get(*at..).and_then(|rest| rest.get(..length)).ok_or(Unreadable)?;
    *at += length;
    if coded {
        return huffman::decode(text, out);
    }
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Unreadable> {
        let mut fields = Vec::new();
        let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        decoder.read(block, |name, value| fields.push(format!("{}: {}", text(name), text(value))))?;
        Ok(fields)
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
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
            let mut decoder = Decoder::default();
            let host = ":authority: www.example.com";
            let [first, second, third] = blocks.map(|block| read(&mut decoder, &bytes(block)).unwrap());
            assert_eq!(first, [":method: GET", ":scheme: http", ":path: /", host]);
            assert_eq!(
                second,
                [":method: GET", ":scheme: http", ":path: /", host, "cache-control: no-cache"]
            );
            let custom = "custom-key: custom-value";
            assert_eq!(third, [":method: GET", ":scheme: https", ":path: /index.html", host, custom]);
            assert_eq!(decoder.table.sizes(), [54, 53, 57]);
        }
    }

    #[test]
    fn fields_that_are_not_entered_are_not_kept() {
        let mut decoder = Decoder::default();
        for block in ["00 01 61 01 62", "10 01 61 01 62", "0f 10 01 62"] {
            read(&mut decoder, &bytes(block)).unwrap();
            assert_eq!(decoder.table.sizes(), [0; 0]);
        }
    }

    #[test]
    fn the_size_of_the_table_changes_at_the_beginning_of_a_block_only() {
        assert!(read(&mut Decoder::default(), &bytes("20 3f e1 1f 82")).is_ok());
        assert_eq!(read(&mut Decoder::default(), &bytes("82 20")), Err(Unreadable));
        assert_eq!(read(&mut Decoder::default(), &bytes("3f e2 1f")), Err(Unreadable), "4,097");
    }

    #[test]
    fn blocks_that_are_none_are_unreadable() {
        for block in [
            "80",
            "ff",
            "ffffffffffff",
            "be",
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
            "00",
            "0001",
            "000161",
        ] {
            assert_eq!(read(&mut Decoder::default(), &bytes(block)), Err(Unreadable), "{block}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..6)) {
            let mut decoder = Decoder::default();
            for block in blocks {
                let _ = decoder.read(&block, |_, _| {});
            }
        }
    }
}

//! The code in which strings may be sent (RFC 7541, appendix B).

use super::Unreadable;

/// How many bits the code of each byte has. Among codes of one length, and from length to length, they count
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

/// Appends what a string in this code says. At most eight bits in five are saved, so that a string grows to no more than
/// that.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
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
        out.push(byte);
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

    fn decoded(text: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::new();
        decode(text, &mut out).map(|()| out)
    }

    #[test]
    fn what_is_no_code_or_is_padded_wrongly_is_unreadable() {
        assert_eq!(decoded(b""), Ok(vec![]));
        assert_eq!(decoded(b"\x07"), Ok(b"0".to_vec()), "three bits of padding");
        for wrong in
            [&b"\xff"[..], b"\x00\x00", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfc", b"\xf9\xff", b"\x06"]
        {
            assert_eq!(decoded(wrong), Err(Unreadable), "{wrong:?}");
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
        fn it_is_read_back(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(decoded(&coded(&text)), Ok(text));
        }
    }
}

//! A token: what stands in the cookie for a server.

use alloc::string::String;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// 128 bits that only the key's holders can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token([u64; 2]);

impl Token {
    /// The token of a text under a key: the first half of its HMAC-SHA-256 (RFC 2104, FIPS 180-4).
    pub fn new(key: &[u8], text: &str) -> Self {
        let mut halves = [0; 2];
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        for (half, bytes) in halves.iter_mut().zip(mac.finalize().into_bytes().as_chunks::<8>().0) {
            *half = u64::from_be_bytes(*bytes);
        }
        Self(halves)
    }

    /// In 32 hexadecimal digits, in lower case.
    pub fn to_text(self) -> String {
        let nibbles =
            self.0.into_iter().flat_map(|half| (0..16).rev().map(move |nibble| half >> (nibble * 4) & 15));
        nibbles.map(|nibble| char::from(b"0123456789abcdef"[nibble as usize])).collect()
    }

    /// The token of a text as [`to_text`](Self::to_text) makes them.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut halves = [0_u64; 2];
        for (half, digits) in halves.iter_mut().zip(digits.as_chunks::<16>().0) {
            for digit in digits {
                let nibble = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *half = *half << 4 | u64::from(nibble);
            }
        }
        Some(Self(halves))
    }

    /// The place of this token among `tokens`, found in a time that tells nothing of how near it came to any: all are
    /// looked at, without a branch.
    pub fn position(self, tokens: &[Token]) -> Option<u32> {
        let mut found = u32::MAX;
        for (place, token) in (0_u32..).zip(tokens) {
            let difference = self.0[0] ^ token.0[0] | self.0[1] ^ token.0[1];
            // All ones where there is no difference.
            let mask = ((difference | difference.wrapping_neg()) >> 63) as u32;
            let mask = core::hint::black_box(mask).wrapping_sub(1);
            found = found & !mask | place & mask;
        }
        (found != u32::MAX).then_some(found)
    }
}

//! The static table, and the dynamic one of what a peer has sent (RFC 7541, sections 2.3 and 4, appendix A).

use std::collections::VecDeque;

use super::{TABLE_SIZE, Unreadable};

/// What an entry takes beside its name and value (section 4.1).
const OVERHEAD: usize = 32;

/// The static table; its first entry has the index 1.
#[rustfmt::skip]
pub(super) const STATIC: [(&str, &str); 61] = [
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

/// The dynamic table of one direction.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    /// How much less than [`TABLE_SIZE`] the peer has it hold.
    cut: usize,
}

/// A field: its name, and its value behind that.
#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    name: u16,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

impl Table {
    /// The field with this index (section 2.3.3).
    pub(super) fn field(&self, index: usize) -> Result<(&[u8], &[u8]), Unreadable> {
        let index = index.checked_sub(1).ok_or(Unreadable)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(index - STATIC.len()).ok_or(Unreadable)?;
        Ok(entry.text.split_at(entry.name.into()))
    }

    /// Enters a field: `text` is its name, of so many bytes, and its value behind that.
    pub(super) fn enter(&mut self, text: &[u8], name: usize) {
        let size = text.len() + OVERHEAD;
        self.evict(size);
        // What does not fit into an empty table leaves it empty (section 4.4).
        if size <= TABLE_SIZE - self.cut {
            self.size += size;
            self.entries.push_front(Entry { text: text.into(), name: name as u16 });
        }
        debug_assert!(self.size <= TABLE_SIZE - self.cut);
    }

    /// Changes its size, as the peer says (section 6.3).
    pub(super) fn resize(&mut self, size: usize) -> Result<(), Unreadable> {
        self.cut = TABLE_SIZE.checked_sub(size).ok_or(Unreadable)?;
        self.evict(0);
        Ok(())
    }

    /// Makes room for an entry of this size, as far as there is any.
    fn evict(&mut self, size: usize) {
        while self.size + size > TABLE_SIZE - self.cut {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= entry.size();
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.entries.iter().map(Entry::size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_table_stands_where_the_rfc_has_it() {
        let at = |index| Table::default().field(index).map(|(name, value)| (name.to_vec(), value.to_vec()));
        assert_eq!(at(0), Err(Unreadable));
        assert_eq!(at(1), Ok((b":authority".to_vec(), b"".to_vec())));
        assert_eq!(at(16), Ok((b"accept-encoding".to_vec(), b"gzip, deflate".to_vec())));
        assert_eq!(at(61), Ok((b"www-authenticate".to_vec(), b"".to_vec())));
        assert_eq!(at(62), Err(Unreadable));
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let mut table = Table::default();
        for count in [1, 2, 3, 3, 3] {
            table.enter(&[b'a'; 1025], 1);
            assert_eq!(table.sizes(), vec![1025 + OVERHEAD; count]);
        }
        table.resize(1100).unwrap();
        assert_eq!(table.sizes(), [1025 + OVERHEAD]);
        table.enter(&[b'a'; 1100], 1);
        assert_eq!(table.sizes(), [0; 0], "one that does not fit empties it");
        assert_eq!(table.resize(TABLE_SIZE + 1), Err(Unreadable));
        table.resize(TABLE_SIZE).unwrap();
    }
}

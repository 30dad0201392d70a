//! Header blocks (RFC 7541). What a peer sends is read with a table; what is sent is written without one, as HAProxy does:
//! then a connection keeps nothing for it, and an answer's block does not depend on those before it.

mod decoder;
mod encoder;
mod huffman;
mod table;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::{write_field, write_joined_field, write_status, write_table_size_of_none};

/// The size of the table that a peer may count on, in bytes; nobody raises it here (section 4.2).
pub(crate) const TABLE_SIZE: usize = 4_096;

/// A block that cannot be read: the connection is lost, since both tables may differ from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

//! Where something stands in a text.

use std::ops::Range;

/// Bytes in the text of `lb.toml`, so that what is found wrong later (a policy's setting, say) can still
/// be pointed at.
pub type Span = Range<usize>;

//! `errorfile`: pages of the user's own.

use std::path::PathBuf;

use crate::span::Span;

/// One entry of `errorfile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorFile {
    /// The status that it stands for.
    pub status: u16,
    /// The file: HTML where its name ends in `.html` or `.htm`, else a whole response.
    pub path: PathBuf,
    /// Where it is named.
    pub span: Span,
}

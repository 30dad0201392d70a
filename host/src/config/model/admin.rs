//! `[global] admin` as the rest of the program sees it.

use std::net::SocketAddr;

/// `[global] admin`: the listener for those who watch the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; port 0 lets the kernel choose.
    pub bind: SocketAddr,
}

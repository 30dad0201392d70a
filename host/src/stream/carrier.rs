//! What makes a byte stream of something that is no socket.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::Ending;

/// A byte stream that is no socket: TLS on one, or a stream of HTTP/2. Both sides are used at once, so that it hides its
/// state behind `&self`.
pub(crate) trait Carrier: Debug {
    /// Ready when there is something to read, or the end, as far as is known; else the task is woken when there is.
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()>;

    /// Reads what there is; nothing at the end.
    fn poll_read(&self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// Takes as much as goes. What it has taken may wait in it for a [`Carrier::poll_flush`].
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Sends on what it has taken.
    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends on what it has taken, and says that nothing more will come.
    fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready once the peer has given up what is under way; else the task is woken when it does. A socket cannot say so.
    fn poll_abandoned(&self, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Whether the system says, asked at this moment, that nothing has arrived that has not been read, not even the end.
    /// Only for what stands on a socket of its own.
    fn is_quiet(&self) -> bool {
        false
    }

    /// Whether the peer is known to send nothing more, behind what may still be to be read.
    fn is_closed(&self) -> bool {
        false
    }

    /// The address on this side, where it has one.
    fn local(&self) -> Option<SocketAddr>;

    /// Makes dropping it tell the peer that what it got is not whole, or takes that back.
    fn reset_on_close(&self, resets: bool);

    /// The socket under it, and how it ends; `None` where there is none of its own.
    fn into_ending(self: Box<Self>) -> Option<Ending> {
        None
    }
}

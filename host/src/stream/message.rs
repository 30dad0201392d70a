//! A request and its response by a protocol that frames messages by itself.

use std::fmt::Debug;
use std::io;
use std::task::{Context, Poll};

use crate::buffer::Buffer;
use crate::http::head::HeadSink;

/// One request of a client, whose head has been read, and the response to it, by a protocol in which a message's end is no
/// part of its bytes. Both sides are used at once, so that it hides its state behind `&self`. Dropped before its end has been
/// sent, it tells the client that what it got is not whole.
pub(crate) trait MessageStream: Debug {
    /// Ready when there is some of the request's body to be taken, or its end; else the task is woken when there is.
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()>;

    /// Takes what has come of the body into a buffer, and says how much that was; nothing at its end. Invalid trailers are an
    /// error of the kind `InvalidData`.
    fn poll_take(&self, context: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>>;

    /// Trailers that came with the end, as lines of HTTP/1. Asked for again there are none.
    fn take_trailers(&self) -> Vec<u8>;

    /// Ready once the client has given the request up; else the task is woken when it does.
    fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()>;

    /// Appends a response's head to `out` as the protocol has it, to be sent by [`MessageStream::send_head`]. `is_tunnel` says
    /// that bytes of which nothing is known follow it both ways.
    fn encode_head(&self, is_tunnel: bool, out: &mut Vec<u8>, write: &mut dyn FnMut(&mut dyn HeadSink));

    /// Ready when the client has taken enough of what was sent before. Interim responses wait for it, of which a server may send
    /// any number.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()>;

    /// Sends a head: that of the response, or of an interim response before it.
    fn send_head(&self, encoded: &[u8], is_interim: bool) -> io::Result<()>;

    /// Sends as much of the response's body as goes.
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Says that the response is whole; with trailers, which are lines of HTTP/1, or none.
    fn finish(&self, trailers: &[u8]) -> io::Result<()>;
}

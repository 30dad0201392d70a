//! A stream of HTTP/2 as an exchange sees it: a request's body, and room for its response.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::Connection;
use crate::buffer::Buffer;
use crate::http::head::HeadSink;
use crate::http2::{self, Key};
use crate::stream::MessageStream;

/// A stream of a client's connection.
#[derive(Debug)]
pub(super) struct ClientStream {
    connection: Rc<Connection>,
    key: Key,
}

impl ClientStream {
    pub(super) fn new(connection: Rc<Connection>, key: Key) -> ClientStream {
        ClientStream { connection, key }
    }

    /// Asks something of the protocol, and has sent what that has to say then.
    fn ask<T>(&self, ask: impl FnOnce(&mut http2::Connection) -> T) -> T {
        let mut protocol = self.connection.protocol.borrow_mut();
        let answer = ask(&mut protocol);
        if !protocol.output().is_empty() {
            drop(protocol);
            self.connection.wake();
        }
        answer
    }
}

impl MessageStream for ClientStream {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.protocol.borrow_mut().poll_readable(self.key, context)
    }

    fn poll_take(&self, context: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        self.ask(|protocol| protocol.poll_take(self.key, context, buffer))
    }

    fn take_trailers(&self) -> Vec<u8> {
        self.connection.protocol.borrow_mut().take_trailers(self.key)
    }

    fn poll_abandoned(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.protocol.borrow_mut().poll_abandoned(self.key, context)
    }

    fn encode_head(&self, is_tunnel: bool, out: &mut Vec<u8>, write: &mut dyn FnMut(&mut dyn HeadSink)) {
        write(&mut http2::Block::new(is_tunnel, out));
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.protocol.borrow_mut().poll_room(self.key, context)
    }

    fn send_head(&self, encoded: &[u8], is_interim: bool) -> io::Result<()> {
        self.ask(|protocol| protocol.send_head(self.key, encoded, is_interim))
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.ask(|protocol| protocol.poll_send(self.key, context, bytes))
    }

    fn finish(&self, trailers: &[u8]) -> io::Result<()> {
        self.ask(|protocol| protocol.finish(self.key, trailers))
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        self.ask(|protocol| protocol.release(self.key));
    }
}

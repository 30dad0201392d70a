//! The body of a response as HTTP/1.1 has it: as it is where its length was named, else in chunks, with the trailers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::HeaderMap;
use hyper::body::{Body, Incoming};

use crate::http::body::{Encoding, write_data, write_end};

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    encoding: Encoding,
    /// What has been made of it and not been read, from here on.
    pending: Vec<u8>,
    read: usize,
    ended: bool,
}

impl Upload {
    /// A body to be read in this encoding.
    pub(super) fn new(body: Incoming, encoding: Encoding) -> Upload {
        let ended = body.is_end_stream() && encoding == Encoding::Plain;
        Upload { body, encoding, pending: Vec::new(), read: 0, ended }
    }

    /// What there is to be read; nothing at the end.
    ///
    /// # Errors
    /// When the stream broke.
    pub(super) fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        while self.read == self.pending.len() && !self.ended {
            self.pending.clear();
            self.read = 0;
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => write_data(self.encoding, &data, &mut self.pending),
                    Err(frame) => self.end(frame.into_trailers().ok().as_ref()),
                },
                // hyper takes a stream that is reset with NO_ERROR, by itself or by GOAWAY, for one that has ended. A body
                // is whole with END_STREAM alone (RFC 9113, section 8.1).
                None if self.body.is_end_stream() => self.end(None),
                Some(Err(_)) | None => return Poll::Ready(Err(broken())),
            }
        }
        Poll::Ready(Ok(&self.pending[self.read..]))
    }

    /// Notes that so many bytes were read.
    pub(super) fn gone(&mut self, count: usize) {
        self.read += count;
        if self.read == self.pending.len() && self.pending.capacity() > 0 {
            (self.pending, self.read) = (Vec::new(), 0);
        }
    }

    /// Ready once the stream has ended, whole or not. What comes until then is not kept.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.poll_pending(context)) {
                Ok(pending) if !pending.is_empty() => {
                    let count = pending.len();
                    self.gone(count);
                }
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let mut lines = Vec::new();
        for (name, value) in trailers.into_iter().flatten() {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        write_end(self.encoding, &lines, &mut self.pending);
        self.ended = true;
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

//! What an exchange gets of a client's bytes, for what is fuzzed: each request as HTTP/1.1 would have it.

use std::task::{Context, Poll, Waker};

use super::{Connection, Key, Limits};
use crate::buffer::Buffer;
use crate::config::model::Http2;
use crate::http::head::RequestHead;

/// A request on its way to an exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PassedOn {
    /// Its head; empty where it is refused before it has one.
    pub(crate) head: Vec<u8>,
    /// The request line for the log.
    pub(crate) line: Vec<u8>,
    /// What came of its body.
    pub(crate) body: Vec<u8>,
    /// Its trailers, as lines.
    pub(crate) trailers: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) is_whole: bool,
    /// Whether it asks for a tunnel.
    pub(crate) is_tunnel: bool,
}

/// The longest head that is let in, as the default configuration has it, in bytes and in lines.
const MAX_HEAD: usize = 15 * 1024;
const MAX_LINES: usize = 101;

/// The requests on a connection whose bytes come in such pieces, in their order. Nobody answers them: an answer would close
/// the stream, and what the client sends on a closed one may end the connection.
pub(crate) fn passed_on<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<PassedOn> {
    let settings = Http2::default();
    let mut connection = Connection::new(Limits {
        streams: settings.max_concurrent_streams as usize,
        stream_window: settings.initial_window_size,
        connection_window: settings.initial_connection_window_size,
        frame: settings.max_frame_size,
        header_list: MAX_HEAD,
        lines: MAX_LINES,
        head: MAX_HEAD,
    });
    let (mut held, mut requests) = (Vec::new(), Vec::<(Key, PassedOn)>::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let (used, _) = connection.receive(&held);
        held.drain(..used);
        while let Some(request) = connection.next_request() {
            if connection.is_wanted(request.key) {
                connection.begin(request.key);
            }
            requests.push((request.key, begun(&request.scratch.request, request.is_sound)));
        }
        for (key, request) in &mut requests {
            take_body(&mut connection, *key, request);
        }
        let sent = connection.output().len();
        connection.sent(sent);
    }
    requests.into_iter().map(|(_, request)| request).collect()
}

fn begun(head: &RequestHead, is_sound: bool) -> PassedOn {
    if !is_sound {
        return PassedOn::default();
    }
    PassedOn {
        head: head.as_http1().to_vec(),
        line: head.request_line().to_vec(),
        is_tunnel: head.upgrade || head.method() == b"CONNECT",
        ..PassedOn::default()
    }
}

fn take_body(connection: &mut Connection, key: Key, request: &mut PassedOn) {
    let context = Context::from_waker(Waker::noop());
    while !request.is_whole && !request.is_tunnel {
        let mut buffer = Buffer::none();
        match connection.poll_take(key, &context, &mut buffer) {
            Poll::Ready(Ok(0)) => {
                request.trailers = connection.take_trailers(key);
                request.is_whole = true;
            }
            Poll::Ready(Ok(_)) => request.body.extend_from_slice(buffer.data()),
            Poll::Ready(Err(_)) | Poll::Pending => return,
        }
    }
}

//! A client's bytes as the `h2` library reads them, without anything of lb before it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::{self, SendResponse};
use hyper::http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hpack::Field;
use super::reading::Meaning;
use crate::config::model::Http2;
use crate::http2::MAX_RESETS;

/// A request that the library takes.
pub(super) struct Taken {
    pub(super) stream: u32,
    /// What it is, of its scheme only what the library keeps.
    pub(super) meaning: Meaning,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<Field>,
    pub(super) is_whole: bool,
}

/// The requests that the library takes on a connection whose bytes come in such pieces.
pub(super) fn taken<'b>(pieces: impl Iterator<Item = &'b [u8]>, max_header_list: usize) -> Vec<Taken> {
    let settings = Http2::default();
    let feed = Feed::default();
    let handshake = server::Builder::new()
        .enable_connect_protocol()
        .max_concurrent_streams(settings.max_concurrent_streams)
        .initial_window_size(settings.initial_window_size)
        .initial_connection_window_size(settings.initial_connection_window_size)
        .max_frame_size(settings.max_frame_size)
        .max_pending_accept_reset_streams(MAX_RESETS as usize)
        .max_local_error_reset_streams(Some(MAX_RESETS as usize))
        .max_header_list_size(max_header_list as u32)
        .handshake::<_, Bytes>(feed.clone());
    let mut handshake = pin!(handshake);
    let mut connection = None;
    let mut streams: Vec<Stream> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => feed.0.bytes.borrow_mut().extend(piece),
            None => feed.0.ended.set(true),
        }
        if connection.is_none() {
            match handshake.as_mut().poll(&mut context) {
                Poll::Ready(Ok(made)) => connection = Some(made),
                Poll::Ready(Err(_)) => return Vec::new(),
                Poll::Pending => continue,
            }
        }
        let Some(connection) = &mut connection else { continue };
        let mut is_open = true;
        while let Poll::Ready(accepted) = connection.poll_accept(&mut context) {
            match accepted {
                Some(Ok((request, response))) => streams.push(Stream::new(request, response)),
                Some(Err(_)) | None => {
                    is_open = false;
                    break;
                }
            }
        }
        streams.iter_mut().for_each(|stream| stream.poll(&mut context));
        if !is_open {
            break;
        }
    }
    streams.into_iter().map(|stream| stream.taken).collect()
}

/// A stream that is being read. Its answer never comes: it would end it.
struct Stream {
    taken: Taken,
    body: RecvStream,
    is_over: bool,
    _response: SendResponse<Bytes>,
}

impl Stream {
    fn new(request: Request<RecvStream>, response: SendResponse<Bytes>) -> Stream {
        let (parts, body) = request.into_parts();
        let text = |text: &str| text.as_bytes().to_vec();
        let fields = fields(&parts.headers);
        let host = fields.iter().find(|(name, _)| name == b"host").map(|(_, value)| value.clone());
        let authority = parts.uri.authority().map(|authority| text(authority.as_str()));
        let meaning = Meaning {
            method: text(parts.method.as_str()),
            scheme: parts.uri.scheme_str().map(text),
            authority: authority.or(host).unwrap_or_default(),
            path: parts.uri.path_and_query().map(|path| text(path.as_str())),
            protocol: parts.extensions.get::<Protocol>().map(|protocol| text(protocol.as_str())),
            fields,
        };
        let stream = body.stream_id().as_u32();
        let taken = Taken { stream, meaning, body: Vec::new(), trailers: Vec::new(), is_whole: false };
        Stream { taken, body, is_over: false, _response: response }
    }

    /// Reads what has come.
    fn poll(&mut self, context: &mut Context<'_>) {
        while !self.is_over {
            match self.body.poll_data(context) {
                Poll::Ready(Some(Ok(data))) => {
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.taken.body.extend_from_slice(&data);
                }
                Poll::Ready(Some(Err(_))) => self.is_over = true,
                Poll::Ready(None) => match self.body.poll_trailers(context) {
                    Poll::Ready(trailers) => {
                        self.is_over = true;
                        self.taken.is_whole = trailers.is_ok() && self.body.is_end_stream();
                        self.taken.trailers =
                            trailers.ok().flatten().as_ref().map(fields).unwrap_or_default();
                    }
                    Poll::Pending => return,
                },
                Poll::Pending => return,
            }
        }
    }
}

fn fields(map: &HeaderMap) -> Vec<Field> {
    map.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect()
}

/// What has come, and whether that is all.
#[derive(Clone, Default)]
struct Feed(Rc<Came>);

#[derive(Default)]
struct Came {
    bytes: RefCell<VecDeque<u8>>,
    ended: Cell<bool>,
}

impl AsyncRead for Feed {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = self.0.bytes.borrow_mut();
        if bytes.is_empty() && !self.0.ended.get() {
            return Poll::Pending;
        }
        let count = bytes.len().min(space.remaining());
        bytes.drain(..count).for_each(|byte| space.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Feed {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! A response of HTTP/1.1, as an exchange writes it, taken apart into a head and frames.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use super::frames::Frames;
use super::request::Kind;
use crate::http::body::{Decoder, Piece};
use crate::http::head::{Field, Framing, Known, ResponseHead};
use crate::http::parse;
use crate::http::trailers::Sender;
use crate::scratch::Scratch;
use crate::tune::Tune;

/// Headers that belong to a connection of HTTP/1.1 (RFC 9113, section 8.2.2), and the one that has no meaning where
/// there was no `sec-websocket-key` (RFC 8441, section 5).
const ACCEPT: &[u8] = b"sec-websocket-accept";

/// A response on its way.
#[derive(Debug)]
pub(super) struct Download {
    frames: Rc<Frames>,
    kind: Kind,
    tune: Tune,
    /// What could not be taken apart before more comes; in a tunnel, what came behind the head.
    pub(super) rest: Vec<u8>,
    /// Once the head is there.
    body: Option<Decoder>,
    /// Whether what follows are bytes of which nothing is known.
    pub(super) tunnel: bool,
    /// Whether this is an answer of gRPC, whose trailers say how the call went.
    grpc: bool,
}

impl Download {
    /// The response to a request of this kind.
    pub(super) fn new(frames: Rc<Frames>, kind: Kind, tune: Tune) -> Download {
        Download { frames, kind, tune, rest: Vec::new(), body: None, tunnel: false, grpc: false }
    }

    /// Takes all of it.
    ///
    /// # Errors
    /// Where that is not HTTP/1.1 or cannot be said in HTTP/2.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let held = std::mem::take(&mut self.rest);
        let joined;
        let mut left = bytes;
        if !held.is_empty() {
            joined = [&held[..], bytes].concat();
            left = &joined;
        }
        while !left.is_empty() && !self.tunnel {
            let used = self.step(left)?;
            if used == 0 {
                break;
            }
            left = &left[used..];
        }
        self.rest.extend_from_slice(left);
        Ok(())
    }

    /// The exchange has ended; where only that ends the body, it is whole.
    pub(super) fn ended(&mut self) {
        if self.body.as_ref().is_some_and(Decoder::ends_by_close) {
            self.frames.finish(None);
        }
    }

    /// Nothing more comes. Where that is too early the stream is reset, but for a call of gRPC: a reset would be an error
    /// of its client, and this is none.
    pub(super) fn cut(&self) {
        if self.tunnel {
            return self.frames.cut_tunnel();
        }
        if self.grpc {
            let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("14"));
            let message = HeaderValue::from_static("the call was broken off");
            let trailers = [status, (HeaderName::from_static("grpc-message"), message)];
            self.frames.finish(Some(HeaderMap::from_iter(trailers)));
        }
        self.frames.cut();
    }

    /// Takes what stands at the front, and says how much that was; 0 before more has come.
    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.body else { return self.head(bytes) };
        match decoder.next(bytes).map_err(invalid)? {
            Piece::Data { range, used } => {
                self.frames.data(&bytes[range]);
                if decoder.is_done() {
                    self.frames.finish(None);
                }
                Ok(used)
            }
            Piece::End { used } => {
                let trailers = decoder.trailers();
                self.frames.finish(trailer_map(&trailers));
                // Behind the end there is nothing.
                Ok(if used == 0 { bytes.len() } else { used })
            }
            Piece::More => Ok(0),
        }
    }

    fn head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut scratch = Scratch::default();
        let taken = self.take_head(bytes, Arc::make_mut(&mut scratch.response));
        scratch.release();
        taken
    }

    fn take_head(&mut self, bytes: &[u8], head: &mut ResponseHead) -> io::Result<usize> {
        let to_head = self.kind == Kind::Head;
        // What this program adds to a response may come on top of the lines that a server may send.
        let parsed = parse::response(bytes, parse::MAX_LINES, to_head, head).map_err(invalid)?;
        let Some(length) = parsed else {
            let too_long = bytes.len() > self.tune.bufsize.saturating_mul(2);
            return if too_long { Err(io::ErrorKind::InvalidData.into()) } else { Ok(0) };
        };
        self.tunnel = match self.kind {
            Kind::WebSocket => head.status == 101,
            Kind::Connect => (200..300).contains(&head.status),
            Kind::Plain | Kind::Head => false,
        };
        if (100..200).contains(&head.status) && !self.tunnel {
            // hyper has no way to send an answer before the answer.
            return Ok(length);
        }
        let status = if self.tunnel { 200 } else { head.status };
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).map_err(invalid)?;
        response.headers_mut().reserve(head.lines().iter().count());
        for Field { name, value, known, .. } in head.lines().iter() {
            let skipped = matches!(
                known,
                Known::Connection
                    | Known::KeepAlive
                    | Known::ProxyConnection
                    | Known::TransferEncoding
                    | Known::Upgrade
            ) || (self.tunnel && (known == Known::ContentLength || name == ACCEPT));
            if !skipped {
                response.headers_mut().append(
                    HeaderName::from_bytes(name).map_err(invalid)?,
                    HeaderValue::from_bytes(value).map_err(invalid)?,
                );
            }
        }
        let framing = if self.tunnel { Framing::None } else { head.framing };
        if framing == Framing::None {
            self.frames.finish(None);
        }
        self.body = Some(Decoder::new(framing, Sender::Server));
        let content_type = head.lines().header(b"content-type").unwrap_or_default();
        self.grpc = framing == Framing::Chunked && content_type.starts_with(b"application/grpc");
        self.frames.begin(response);
        Ok(length)
    }
}

/// Trailer lines as HTTP/2 sends them; `None` where there are none.
pub(crate) fn trailer_map(lines: &[u8]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for line in lines.split(|b| *b == b'\n') {
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    (!map.is_empty()).then_some(map)
}

fn invalid<E>(_: E) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

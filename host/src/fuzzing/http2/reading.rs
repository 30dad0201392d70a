//! A client's bytes as RFC 9113 has them, read in the plainest way: the requests in them, and what they mean.

use super::hpack::{Decoder, Field};
use super::language::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PRIORITY, RST_STREAM, SETTINGS,
};
use crate::http2::PREFACE;

/// The largest frame that lb takes, with the settings that are the default.
const MAX_FRAME: usize = 16_384;
const ACK: u8 = 1;

/// What a client sent on a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    pub(super) stream: u32,
    pub(super) fields: Vec<Field>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<Field>,
    /// Whether it has sent all.
    pub(super) is_whole: bool,
    /// Whether it has given up.
    is_reset: bool,
}

/// The requests that a client sent, in their order, up to the first byte at which nobody may go on.
pub(super) fn sent(bytes: &[u8]) -> Vec<Sent> {
    let mut requests = Vec::new();
    let Some(rest) = bytes.strip_prefix(PREFACE) else { return requests };
    // The first frame is one of SETTINGS (section 3.4).
    if let [_, _, _, kind, flags, ..] = rest
        && (*kind != SETTINGS || flags & ACK != 0)
    {
        return requests;
    }
    let mut frames = Frames { rest };
    let mut decoder = Decoder::new();
    while let Some(frame) = frames.next() {
        if one(&mut requests, frame, &mut frames, &mut decoder).is_none() {
            break;
        }
    }
    requests
}

struct Frame<'b> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'b [u8],
}

struct Frames<'b> {
    rest: &'b [u8],
}

impl<'b> Frames<'b> {
    fn next(&mut self) -> Option<Frame<'b>> {
        let (head, rest) = self.rest.split_first_chunk::<9>()?;
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        (length <= MAX_FRAME).then_some(Frame { kind, flags, stream, payload })
    }
}

/// Takes in a frame; `None` where the connection cannot go on behind it.
fn one(
    requests: &mut Vec<Sent>,
    frame: Frame<'_>,
    frames: &mut Frames<'_>,
    decoder: &mut Decoder,
) -> Option<()> {
    let stream = frame.stream;
    let last = requests.last().map_or(0, |sent| sent.stream);
    let open = requests.iter_mut().find(|sent| sent.stream == stream && !sent.is_whole && !sent.is_reset);
    match frame.kind {
        HEADERS => {
            let mut payload = unpadded(&frame)?;
            if frame.flags & PRIORITY != 0 {
                payload = payload.get(5..)?;
            }
            let mut block = payload.to_vec();
            let mut flags = frame.flags;
            while flags & END_HEADERS == 0 {
                let next = frames.next()?;
                if next.kind != CONTINUATION || next.stream != stream {
                    return None;
                }
                block.extend_from_slice(next.payload);
                flags = next.flags;
            }
            let fields = decoder.block(&block)?;
            let is_whole = frame.flags & END_STREAM != 0;
            match open {
                Some(sent) => {
                    // They have no place there, and are passed on by nobody.
                    let is_pseudo = |field: &Field| field.0.first() == Some(&b':');
                    sent.trailers = fields.into_iter().filter(|field| !is_pseudo(field)).collect();
                    (sent.is_whole, sent.is_reset) = (is_whole, !is_whole);
                }
                None if stream > last && stream % 2 == 1 => {
                    requests.push(Sent { stream, fields, is_whole, ..Sent::default() });
                }
                None => {}
            }
        }
        DATA => {
            let payload = unpadded(&frame)?;
            if let Some(sent) = open {
                sent.body.extend_from_slice(payload);
                sent.is_whole = frame.flags & END_STREAM != 0;
            }
        }
        RST_STREAM => {
            if let Some(sent) = open {
                sent.is_reset = true;
            }
        }
        CONTINUATION => return None,
        _ => {}
    }
    Some(())
}

fn unpadded<'b>(frame: &Frame<'b>) -> Option<&'b [u8]> {
    if frame.flags & PADDED == 0 {
        return Some(frame.payload);
    }
    let (padding, rest) = frame.payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

/// A request (RFC 9113, section 8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) method: Vec<u8>,
    pub(super) scheme: Option<Vec<u8>>,
    /// From its pseudo-header field, or else from its `host`.
    pub(super) authority: Vec<u8>,
    pub(super) path: Option<Vec<u8>>,
    pub(super) protocol: Option<Vec<u8>>,
    /// All others, in their order.
    pub(super) fields: Vec<Field>,
}

/// What a header block means; `None` where it is no request, and nobody may take it for one.
pub(super) fn meaning(block: &[Field]) -> Option<Meaning> {
    let is_pseudo = |field: &&Field| field.0.first() == Some(&b':');
    let count = block.iter().take_while(is_pseudo).count();
    let (pseudo, fields) = block.split_at(count);
    let names: [&[u8]; 5] = [b":method", b":scheme", b":authority", b":path", b":protocol"];
    let is_known = pseudo.iter().all(|(name, _)| names.contains(&&name[..]));
    let once = names.map(|wanted| {
        let mut values = pseudo.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        (values.next(), values.next())
    });
    if !is_known || once.iter().any(|(_, second)| second.is_some()) || !are_fields(fields) {
        return None;
    }
    let [method, scheme, authority, path, protocol] = once.map(|(value, _)| value);
    let method = method?;
    let hosts: Vec<_> = fields.iter().filter(|(name, _)| name == b"host").map(|(_, value)| value).collect();
    let host = match hosts[..] {
        [] => None,
        [host] => Some(host.clone()),
        _ => return None,
    };
    let named = authority.clone().or(host.clone())?;
    if host.is_some_and(|host| !host_of(&host).eq_ignore_ascii_case(host_of(&named))) {
        return None;
    }
    let is_tunnel = method == b"CONNECT" && protocol.is_none();
    if is_tunnel != path.is_none() || is_tunnel != scheme.is_none() {
        return None;
    }
    if protocol.is_some() && method != b"CONNECT" {
        return None;
    }
    Some(Meaning { method, scheme, authority: named, path, protocol, fields: fields.to_vec() })
}

/// Whether these may be fields of a request or trailers of its body (sections 8.2.1 and 8.2.2).
pub(super) fn are_fields(fields: &[Field]) -> bool {
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
            && !name.iter().any(|byte| b"\"(),/:;<=>?@[\\]{}".contains(byte))
    };
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_value = |value: &[u8]| {
        !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
            && !is_blank(value.first())
            && !is_blank(value.last())
    };
    let of_connection: [&[u8]; 5] =
        [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];
    fields.iter().all(|(name, value)| {
        is_name(name)
            && is_value(value)
            && !of_connection.contains(&&name[..])
            && (name != b"te" || value == b"trailers")
    })
}

/// An authority without its port.
fn host_of(authority: &[u8]) -> &[u8] {
    let end = authority.iter().rposition(|byte| *byte == b':').filter(|at| {
        authority[at + 1..].iter().all(u8::is_ascii_digit) && authority.first() != Some(&b'[')
            || authority[..*at].ends_with(b"]")
    });
    &authority[..end.unwrap_or(authority.len())]
}

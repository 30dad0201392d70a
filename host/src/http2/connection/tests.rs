//! Connections by their frames.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::buffer::Buffer;
use crate::http2::hpack::{Decoder, write_field, write_status};

const LIMITS: Limits = Limits {
    streams: 2,
    stream_window: 65_535,
    connection_window: 65_535,
    frame: 16_384,
    header_list: 16 * 1024,
    lines: 101,
    head: 16 * 1024,
};

/// `GET http://a/`, in the static table but for the authority.
const GET: &[u8] = b"\x82\x86\x84\x01\x01a";
/// `POST http://a/`.
const POST: &[u8] = b"\x83\x86\x84\x01\x01a";

const HEADERS: u8 = kind::HEADERS;
const DATA: u8 = kind::DATA;
const END: u8 = flag::END_STREAM;
const WHOLE: u8 = flag::END_HEADERS;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameHead { length: payload.len(), kind, flags, stream }.write(&mut out);
    out.extend_from_slice(payload);
    out
}

/// A connection whose beginning is over.
fn connection(limits: Limits) -> Connection {
    let mut connection = Connection::new(limits);
    give(&mut connection, &[PREFACE, &frame(kind::SETTINGS, 0, 0, b"")].concat());
    sent(&mut connection);
    connection
}

fn give(connection: &mut Connection, bytes: &[u8]) {
    let (used, needs) = connection.receive(bytes);
    assert_eq!((used, needs), (bytes.len(), 0), "whole frames");
}

/// The frames that go out: kind, flags, stream and payload.
fn sent(connection: &mut Connection) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut rest = connection.output().to_vec();
    connection.sent(rest.len());
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let head = FrameHead::read(rest[..HEAD].try_into().unwrap());
        let payload = rest[HEAD..HEAD + head.length].to_vec();
        frames.push((head.kind, head.flags, head.stream, payload));
        rest.drain(..HEAD + head.length);
    }
    frames
}

fn request(connection: &mut Connection) -> Key {
    let request = connection.next_request().expect("a request");
    assert!(request.is_sound);
    connection.begin(request.key);
    request.key
}

fn ok() -> Vec<u8> {
    let mut block = Vec::new();
    write_status(200, &mut block);
    block
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Sends as much as goes.
fn send(connection: &mut Connection, key: Key, mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Poll::Ready(Ok(more)) = connection.poll_send(key, &context(), bytes) {
        count += more;
        bytes = &bytes[more..];
        if bytes.is_empty() {
            break;
        }
    }
    count
}

fn goaway(frames: &[(u8, u8, u32, Vec<u8>)]) -> Option<u32> {
    let (.., payload) = frames.iter().find(|(kind, ..)| *kind == kind::GOAWAY)?;
    Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
}

#[test]
fn a_small_answer_is_two_frames_of_which_the_last_ends_the_stream() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    connection.send_head(key, &ok(), false).unwrap();
    assert_eq!(send(&mut connection, key, b"hel"), 3);
    assert_eq!(send(&mut connection, key, b"lo"), 2);
    connection.finish(key, b"").unwrap();
    let expected = [(HEADERS, WHOLE, 1, ok()), (DATA, END, 1, b"hello".to_vec())];
    assert_eq!(sent(&mut connection), expected);
    connection.release(key);
    assert!(sent(&mut connection).is_empty() && connection.streams.is_empty());
}

#[test]
fn an_answer_without_a_body_is_one_frame() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    connection.send_head(key, &ok(), false).unwrap();
    connection.finish(key, b"").unwrap();
    assert_eq!(sent(&mut connection), [(HEADERS, WHOLE | END, 1, ok())]);
}

#[test]
fn an_end_that_comes_late_is_an_empty_frame_and_trailers_are_fields() {
    let mut connection = connection(LIMITS);
    give(
        &mut connection,
        &[frame(HEADERS, WHOLE | END, 1, GET), frame(HEADERS, WHOLE | END, 3, GET)].concat(),
    );
    let keys = [request(&mut connection), request(&mut connection)];
    for key in keys {
        connection.send_head(key, &ok(), false).unwrap();
    }
    sent(&mut connection);
    connection.finish(keys[0], b"").unwrap();
    connection.finish(keys[1], b"x: y\r\n").unwrap();
    let mut trailers = Vec::new();
    write_field(b"x", b"y", &mut trailers);
    assert_eq!(sent(&mut connection), [(DATA, END, 1, vec![]), (HEADERS, WHOLE | END, 3, trailers)]);
}

#[test]
fn interim_responses_come_before_the_response_and_end_nothing() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    connection.send_head(key, b"\x08\x03103", true).unwrap();
    connection.send_head(key, &ok(), false).unwrap();
    connection.finish(key, b"").unwrap();
    let expected = [(HEADERS, WHOLE, 1, b"\x08\x03103".to_vec()), (HEADERS, WHOLE | END, 1, ok())];
    assert_eq!(sent(&mut connection), expected);
}

#[test]
fn a_body_is_taken_as_it_comes_and_its_window_given_back() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE, 1, POST));
    let key = request(&mut connection);
    let mut buffer = Buffer::none();
    assert!(connection.poll_take(key, &context(), &mut buffer).is_pending());
    let piece = vec![b'x'; 16_384];
    for _ in 0..3 {
        let bytes = frame(DATA, flag::PADDED, 1, &[&[3], &piece[4..], &[0; 3]].concat());
        for part in bytes.chunks(5_000) {
            give(&mut connection, part);
        }
        let taken = connection.poll_take(key, &context(), &mut buffer);
        assert!(matches!(taken, Poll::Ready(Ok(count)) if count == piece.len() - 4));
        buffer.gone(buffer.data().len());
    }
    let more = |stream| (kind::WINDOW_UPDATE, 0, stream, 32_768_u32.to_be_bytes().to_vec());
    assert_eq!(sent(&mut connection), [more(0), more(1)]);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, b"\x00\x01x\x01y"));
    assert!(matches!(connection.poll_take(key, &context(), &mut buffer), Poll::Ready(Ok(0))));
    assert_eq!(connection.take_trailers(key), b"x: y\r\n");
}

#[test]
fn what_the_client_sends_beyond_a_window_is_an_error() {
    for (limits, expected) in [
        (Limits { stream_window: 10, ..LIMITS }, (None, Some(Reason::FlowControl as u32))),
        (
            Limits { connection_window: 65_535, stream_window: 1 << 20, ..LIMITS },
            (Some(Reason::FlowControl as u32), None),
        ),
    ] {
        let mut connection = connection(limits);
        give(&mut connection, &frame(kind::SETTINGS, flag::ACK, 0, b""));
        give(&mut connection, &frame(HEADERS, WHOLE, 1, POST));
        let key = request(&mut connection);
        let mut buffer = Buffer::none();
        let _ = connection.poll_take(key, &context(), &mut buffer);
        for _ in 0..5 {
            connection.receive(&frame(DATA, 0, 1, &[0; 16_000]));
        }
        let frames = sent(&mut connection);
        let reset = frames.iter().find(|(kind, ..)| *kind == kind::RST_STREAM);
        let reset = reset.map(|(.., payload)| u32::from_be_bytes(payload[..].try_into().unwrap()));
        assert_eq!((goaway(&frames), reset), expected);
        let taken = connection.poll_take(key, &context(), &mut buffer);
        assert!(matches!(taken, Poll::Ready(Err(_))));
    }
}

#[test]
fn a_smaller_window_counts_once_the_client_knows_of_it() {
    let mut connection = connection(Limits { stream_window: 10, ..LIMITS });
    give(&mut connection, &frame(HEADERS, WHOLE, 1, POST));
    let key = request(&mut connection);
    give(&mut connection, &frame(DATA, 0, 1, &[0; 1000]));
    assert!(connection.is_wanted(key));
    give(&mut connection, &frame(kind::SETTINGS, flag::ACK, 0, b""));
    give(&mut connection, &frame(DATA, 0, 1, &[0; 1]));
    assert!(!connection.is_wanted(key));
}

#[test]
fn a_response_waits_for_windows_and_for_room() {
    let mut connection = connection(LIMITS);
    let window = [&[0, 4][..], &10_u32.to_be_bytes()].concat();
    give(&mut connection, &frame(kind::SETTINGS, 0, 0, &window));
    give(
        &mut connection,
        &[frame(HEADERS, WHOLE | END, 1, GET), frame(HEADERS, WHOLE | END, 3, GET)].concat(),
    );
    let keys = [request(&mut connection), request(&mut connection)];
    for key in keys {
        connection.send_head(key, &ok(), false).unwrap();
    }
    sent(&mut connection);
    let body = vec![b'x'; 200_000];
    assert_eq!(send(&mut connection, keys[0], &body), 10, "the stream's window");
    for stream in [1, 3] {
        give(&mut connection, &frame(kind::WINDOW_UPDATE, 0, stream, &100_000_u32.to_be_bytes()));
    }
    let first = send(&mut connection, keys[0], &body);
    assert!((60_000..65_525).contains(&first), "{first}: the room");
    assert!(connection.poll_send(keys[1], &context(), &body).is_pending());
    sent(&mut connection);
    let rest = 65_535 - 10 - first;
    assert_eq!(send(&mut connection, keys[1], &body), rest, "the connection's window");
    give(&mut connection, &frame(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
    assert_eq!(send(&mut connection, keys[0], &body), 1);
}

#[test]
fn interim_responses_wait_for_room() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    let mut count = 0;
    while connection.poll_room(key, &context()).is_ready() {
        connection
            .send_head(key, &[b"\x08\x03103\0\x01x\x7f\x81\x01", &[b'y'; 256][..]].concat(), true)
            .unwrap();
        count += 1;
        assert!(count < 1_000);
    }
    sent(&mut connection);
    assert!(connection.poll_room(key, &context()).is_ready());
}

#[test]
fn a_frame_of_data_that_has_gone_out_in_part_is_not_changed() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    connection.send_head(key, &ok(), false).unwrap();
    assert_eq!(send(&mut connection, key, b"abc"), 3);
    connection.sent(HEAD + 1 + 4);
    assert_eq!(send(&mut connection, key, b"def"), 3);
    connection.finish(key, b"").unwrap();
    assert_eq!(connection.output(), [&b"\0\0\0\0\x01abc"[..], &frame(DATA, END, 1, b"def")].concat());
}

#[test]
fn what_is_dropped_before_its_end_is_reset_and_the_rest_of_a_request_is_not_wanted() {
    for (block, flags, finishes, reason) in [
        (GET, WHOLE | END, false, Reason::Internal),
        (POST, WHOLE, true, Reason::NoError),
        (b"\x02\x07CONNECT\x01\x04a:80", WHOLE, false, Reason::Connect),
    ] {
        let mut connection = connection(LIMITS);
        give(&mut connection, &frame(HEADERS, flags, 1, block));
        let key = request(&mut connection);
        connection.send_head(key, &ok(), false).unwrap();
        if finishes {
            connection.finish(key, b"").unwrap();
        }
        connection.release(key);
        let frames = sent(&mut connection);
        let expected = (kind::RST_STREAM, 0, 1, (reason as u32).to_be_bytes().to_vec());
        assert_eq!(frames.last(), Some(&expected));
        give(&mut connection, &frame(DATA, 0, 1, b"on its way"));
        assert!(sent(&mut connection).is_empty(), "what was on its way then is no error");
    }
}

#[test]
fn a_frame_of_data_may_outlive_whoever_serves_its_stream() {
    let mut connection = connection(LIMITS);
    let data = frame(DATA, END, 1, &[0; 40_000 / 4]);
    give(&mut connection, &frame(HEADERS, WHOLE, 1, POST));
    let key = request(&mut connection);
    give(&mut connection, &data[..100]);
    connection.release(key);
    give(&mut connection, &[&data[100..], &frame(HEADERS, WHOLE | END, 3, GET)].concat());
    request(&mut connection);
    assert_eq!((connection.window + connection.taken, goaway(&sent(&mut connection))), (65_535, None));
}

#[test]
fn a_stream_that_the_client_resets_is_cut_both_ways() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &[frame(HEADERS, WHOLE, 1, POST), frame(DATA, 0, 1, b"abc")].concat());
    let key = request(&mut connection);
    assert!(connection.poll_abandoned(key, &context()).is_pending());
    give(&mut connection, &frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 0]));
    assert!(connection.poll_abandoned(key, &context()).is_ready());
    assert!(matches!(connection.poll_take(key, &context(), &mut Buffer::none()), Poll::Ready(Err(_))));
    assert!(connection.send_head(key, &ok(), false).is_err() && connection.finish(key, b"").is_err());
    connection.release(key);
    assert!(sent(&mut connection).is_empty() && connection.streams.is_empty());
}

#[test]
fn streams_are_bounded_and_those_beyond_may_come_again() {
    let mut connection = connection(LIMITS);
    for id in [1, 3, 5] {
        give(&mut connection, &frame(HEADERS, WHOLE | END, id, GET));
    }
    let refused = (Reason::RefusedStream as u32).to_be_bytes().to_vec();
    assert_eq!(sent(&mut connection), [(kind::RST_STREAM, 0, 5, refused)]);
    let key = request(&mut connection);
    connection.send_head(key, &ok(), false).unwrap();
    connection.finish(key, b"").unwrap();
    give(&mut connection, &frame(HEADERS, WHOLE | END, 7, GET));
    assert!(connection.next_request().is_some() && connection.next_request().is_some());
}

#[test]
fn streams_that_are_taken_back_before_anybody_looks_at_them_end_the_connection() {
    let mut connection = connection(LIMITS);
    for id in (1..).step_by(2).take(MAX_RESETS as usize) {
        give(
            &mut connection,
            &[frame(HEADERS, WHOLE | END, id, GET), frame(kind::RST_STREAM, 0, id, &[0; 4])].concat(),
        );
    }
    assert_eq!(goaway(&sent(&mut connection)), None);
    let key = request_any(&mut connection);
    connection.begin(key);
    let id = 2 * MAX_RESETS + 1;
    for id in [id, id + 2] {
        give(
            &mut connection,
            &[frame(HEADERS, WHOLE | END, id, GET), frame(kind::RST_STREAM, 0, id, &[0; 4])].concat(),
        );
    }
    assert_eq!(goaway(&sent(&mut connection)), Some(Reason::EnhanceYourCalm as u32));
}

#[test]
fn streams_that_have_to_be_reset_end_the_connection_however_they_began() {
    let mut connection = connection(LIMITS);
    for id in (1..).step_by(2).take(MAX_RESETS as usize + 1) {
        assert_eq!(goaway(&sent(&mut connection)), None);
        give(&mut connection, &frame(HEADERS, WHOLE | END, id, GET));
        let key = request(&mut connection);
        connection.receive(&frame(kind::WINDOW_UPDATE, 0, id, &[0; 4]));
        connection.release(key);
    }
    assert_eq!(goaway(&sent(&mut connection)), Some(Reason::EnhanceYourCalm as u32));
}

fn request_any(connection: &mut Connection) -> Key {
    connection.next_request().expect("a request").key
}

#[test]
fn the_end_is_announced_and_then_no_stream_is_looked_at() {
    let mut connection = connection(LIMITS);
    connection.announce_end();
    let frames = sent(&mut connection);
    assert_eq!((goaway(&frames), frames.len()), (Some(0), 2));
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, GET));
    let key = request(&mut connection);
    give(&mut connection, &frame(kind::PING, flag::ACK, 0, &frames[1].3));
    assert_eq!(sent(&mut connection)[0].3, [0, 0, 0, 1, 0, 0, 0, 0]);
    give(&mut connection, &[frame(HEADERS, WHOLE, 3, POST), frame(DATA, END, 3, b"abc")].concat());
    assert!(connection.next_request().is_none() && !connection.is_over());
    connection.send_head(key, &ok(), false).unwrap();
    connection.finish(key, b"").unwrap();
    connection.release(key);
    assert!(connection.is_over());
}

#[test]
fn a_block_may_come_in_pieces_and_large_ones_go_in_pieces() {
    let mut connection = connection(LIMITS);
    let whole = [
        frame(HEADERS, END, 1, &GET[..2]),
        frame(kind::CONTINUATION, 0, 1, b""),
        frame(kind::CONTINUATION, WHOLE, 1, &GET[2..]),
    ];
    let whole = whole.concat();
    let mut held = Vec::new();
    for byte in &whole {
        held.push(*byte);
        let (used, _) = connection.receive(&held);
        held.drain(..used);
    }
    let key = request(&mut connection);
    let mut block = ok();
    write_field(b"x", &[b'y'; 20_000], &mut block);
    connection.send_head(key, &block, false).unwrap();
    connection.finish(key, b"").unwrap();
    let frames = sent(&mut connection);
    assert_eq!(
        frames.iter().map(|(kind, flags, ..)| (*kind, *flags)).collect::<Vec<_>>(),
        [(HEADERS, END), (kind::CONTINUATION, WHOLE)]
    );
    let joined: Vec<u8> = frames.into_iter().flat_map(|(.., payload)| payload).collect();
    assert!(joined == block && Decoder::default().read(&joined, |_, _| {}).is_ok());
}

#[test]
fn who_makes_the_table_smaller_is_told_that_none_is_needed() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &frame(kind::SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    give(
        &mut connection,
        &[frame(HEADERS, WHOLE | END, 1, GET), frame(HEADERS, WHOLE | END, 3, GET)].concat(),
    );
    sent(&mut connection);
    for size in [&b"\x20"[..], b""] {
        let key = request(&mut connection);
        connection.send_head(key, &ok(), false).unwrap();
        assert_eq!(sent(&mut connection)[0].3, [size, &ok()].concat());
    }
}

#[test]
fn errors_of_the_connection_end_it_with_their_reason() {
    let connect = |frames: Vec<Vec<u8>>| frames.concat();
    let ping = |length: usize| frame(kind::PING, 0, 0, &vec![0; length]);
    for (bytes, reason) in [
        (ping(7), Reason::FrameSize),
        (frame(kind::PING, 0, 1, &[0; 8]), Reason::Protocol),
        (frame(kind::SETTINGS, 0, 0, &[0; 5]), Reason::FrameSize),
        (frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]), Reason::FrameSize),
        (frame(kind::SETTINGS, 0, 1, b""), Reason::Protocol),
        (frame(kind::SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), Reason::FlowControl),
        (frame(kind::SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]), Reason::Protocol),
        (frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), Reason::Protocol),
        (frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]), Reason::Protocol),
        (frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), Reason::FlowControl),
        (frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), Reason::Protocol),
        (frame(kind::RST_STREAM, 0, 1, &[0; 4]), Reason::Protocol),
        (frame(kind::PRIORITY, 0, 0, &[0; 5]), Reason::Protocol),
        (frame(kind::GOAWAY, 0, 0, &[0; 7]), Reason::FrameSize),
        (frame(kind::CONTINUATION, WHOLE, 1, GET), Reason::Protocol),
        (frame(5, WHOLE, 1, &[0; 4]), Reason::Protocol),
        (frame(DATA, 0, 0, b""), Reason::Protocol),
        (frame(DATA, 0, 1, b""), Reason::Protocol),
        (frame(HEADERS, WHOLE | END, 2, GET), Reason::Protocol),
        (frame(HEADERS, WHOLE | END, 0, GET), Reason::Protocol),
        (frame(HEADERS, WHOLE | END, 1, b"\xff"), Reason::Compression),
        (frame(HEADERS, WHOLE | END | flag::PADDED, 1, b"\x09"), Reason::Protocol),
        (connect(vec![frame(HEADERS, END, 1, GET), ping(8)]), Reason::Protocol),
        (
            connect(vec![frame(HEADERS, END, 1, GET), frame(kind::CONTINUATION, WHOLE, 3, b"")]),
            Reason::Protocol,
        ),
        (
            connect(vec![frame(HEADERS, WHOLE, 3, POST), frame(HEADERS, WHOLE | END, 1, GET)]),
            Reason::StreamClosed,
        ),
        (
            connect(vec![frame(HEADERS, WHOLE, 1, POST), frame(DATA, flag::PADDED, 1, b"\x02a")]),
            Reason::Protocol,
        ),
        (vec![0, 0x40, 1, DATA, 0, 0, 0, 0, 1], Reason::FrameSize),
    ] {
        let mut connection = connection(LIMITS);
        connection.receive(&bytes);
        assert_eq!(goaway(&sent(&mut connection)), Some(reason as u32), "{bytes:?}");
        assert!(connection.is_over());
    }
    let mut fresh = Connection::new(LIMITS);
    fresh.receive(&[PREFACE, &ping(8)].concat());
    assert_eq!(goaway(&sent(&mut fresh)), Some(Reason::Protocol as u32), "settings come first");
}

#[test]
fn errors_of_a_stream_reset_it_alone() {
    for (bytes, reason) in [
        (frame(kind::WINDOW_UPDATE, 0, 1, &[0; 4]), Reason::Protocol),
        (frame(kind::WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]), Reason::FlowControl),
        (frame(kind::PRIORITY, 0, 1, &[0; 4]), Reason::FrameSize),
        (frame(HEADERS, WHOLE, 1, b"\x00\x01x\x01y"), Reason::Protocol),
        ([frame(DATA, END, 1, b""), frame(DATA, 0, 1, b"x")].concat(), Reason::StreamClosed),
    ] {
        let mut connection = connection(LIMITS);
        give(&mut connection, &frame(HEADERS, WHOLE, 1, POST));
        let key = request(&mut connection);
        give(&mut connection, &bytes);
        let expected = (kind::RST_STREAM, 0, 1, (reason as u32).to_be_bytes().to_vec());
        assert_eq!(sent(&mut connection), [expected], "{bytes:?}");
        assert!(!connection.is_wanted(key) && !connection.is_over());
    }
}

#[test]
fn trailers_that_are_none_make_the_body_malformed() {
    let mut connection = connection(LIMITS);
    give(&mut connection, &[frame(HEADERS, WHOLE, 1, POST), frame(DATA, 0, 1, b"abc")].concat());
    give(&mut connection, &frame(HEADERS, WHOLE | END, 1, b"\x84"));
    let key = request(&mut connection);
    let mut buffer = Buffer::none();
    assert!(matches!(connection.poll_take(key, &context(), &mut buffer), Poll::Ready(Ok(3))));
    buffer.gone(3);
    let end = connection.poll_take(key, &context(), &mut buffer);
    assert!(matches!(end, Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData));
}

#[test]
fn a_body_is_as_long_as_was_named() {
    let with_length = [POST, b"\x0f\x0d\x01\x35"].concat();
    for (frames, is_wanted) in [
        (vec![frame(DATA, END, 1, b"12345")], true),
        (vec![frame(DATA, 0, 1, b"123"), frame(DATA, END, 1, b"45")], true),
        (vec![frame(DATA, 0, 1, b"12345"), frame(HEADERS, WHOLE | END, 1, b"")], true),
        (vec![frame(DATA, END, 1, b"1234")], false),
        (vec![frame(DATA, 0, 1, b"123456")], false),
        (vec![frame(DATA, 0, 1, b"123"), frame(HEADERS, WHOLE | END, 1, b"")], false),
    ] {
        let mut connection = connection(LIMITS);
        give(&mut connection, &frame(HEADERS, WHOLE, 1, &with_length));
        let key = request(&mut connection);
        give(&mut connection, &frames.concat());
        assert_eq!(connection.is_wanted(key), is_wanted, "{frames:?}");
    }
}

#[test]
fn who_takes_nothing_is_not_listened_to() {
    let mut connection = connection(LIMITS);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(1000);
    let mut rounds = 0;
    while connection.is_receptive() {
        give(&mut connection, &pings);
        rounds += 1;
        assert!(rounds < 100);
    }
    sent(&mut connection);
    assert!(connection.is_receptive());
}

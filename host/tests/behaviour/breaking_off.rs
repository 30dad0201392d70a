//! What breaks off is seen to have broken off at the other end, whatever each side speaks: each protocol of a client with
//! each of a server, each framing, each way to break, both ways, and tunnels.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::http2::frame;
use super::kit::{Authority, Directory, Gate, PATIENCE, Proxy, proxy};

/// How a message goes on behind its first half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// To its end.
    Whole,
    /// To its end; then its stream is reset, with NO_ERROR.
    WholeAndReset,
    /// The connection ends in order, by TLS with the word for it.
    Closed,
    /// The connection by TLS ends without that word.
    Unsaid,
    /// The connection is reset.
    Reset,
    /// The stream is reset, with this code.
    Stream(u32),
    /// The peer leaves, and says that it has not looked at the stream.
    Left,
}

/// How a message of HTTP/1 says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    /// Breaks off between chunks.
    Chunks,
    /// Breaks off within a chunk.
    Chunk,
    /// Breaks off within the trailers.
    Trailers,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http10,
    Http11,
    Http2,
}

/// What the other end made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Whole,
    Broken,
}

/// One end of a connection.
trait Peer: Read + Write + Send {
    fn socket(&self) -> &TcpStream;

    /// Says by TLS that nothing more comes.
    fn say_end(&mut self) {}
}

impl Peer for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Peer for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn say_end(&mut self) {
        self.conn.send_close_notify();
        // Where the other side has left already nobody wants to know.
        let _ = self.flush();
    }
}

impl Peer for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn say_end(&mut self) {
        self.conn.send_close_notify();
        // Where the other side has left already nobody wants to know.
        let _ = self.flush();
    }
}

type Boxed = Box<dyn Peer>;

fn patient(socket: &TcpStream) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
    socket.set_nodelay(true).expect("a socket");
}

/// Breaks a connection off, or the stream. What is returned is to be kept until the other end has seen it.
fn break_off(mut peer: Boxed, stream: u32, end: End) -> Option<Boxed> {
    match end {
        End::Whole => {}
        End::WholeAndReset => peer.write_all(&frame(3, 0, stream, &[0; 4])).expect("a reset goes out"),
        End::Stream(code) => {
            peer.write_all(&frame(3, 0, stream, &code.to_be_bytes())).expect("a reset goes out");
        }
        End::Left => peer.write_all(&frame(7, 0, 0, &[0; 8])).expect("a word goes out"),
        End::Closed => {
            peer.say_end();
            let _ = peer.socket().shutdown(Shutdown::Write);
        }
        End::Unsaid => peer.socket().shutdown(Shutdown::Write).expect("an end"),
        End::Reset => {
            socket2::SockRef::from(peer.socket()).set_linger(Some(Duration::ZERO)).expect("a socket");
            return None;
        }
    }
    Some(peer)
}

/// Reads into `held` until `look` finds something, or the end.
fn read_until<T>(
    peer: &mut Boxed,
    held: &mut Vec<u8>,
    mut look: impl FnMut(&mut Vec<u8>) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut space = [0; 4096];
    loop {
        if let Some(found) = look(held) {
            return Ok(Some(found));
        }
        let count = peer.read(&mut space)?;
        if count == 0 {
            return Ok(None);
        }
        held.extend_from_slice(&space[..count]);
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A frame: its type, flags and stream, and what is in it.
type Frame = (u8, u8, u32, Vec<u8>);

fn next_frame(peer: &mut Boxed, held: &mut Vec<u8>) -> io::Result<Option<Frame>> {
    read_until(peer, held, |held| {
        let head: [u8; 9] = held.get(..9)?.try_into().ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = held.get(9..9 + length)?.to_vec();
        held.drain(..9 + length);
        Some((head[3], head[4], u32::from_be_bytes(head[5..9].try_into().ok()?), payload))
    })
}

/// What becomes of a stream from here on.
fn stream_end(peer: &mut Boxed, held: &mut Vec<u8>, stream: u32) -> Seen {
    loop {
        match next_frame(peer, held) {
            Ok(Some((3, _, at, code))) if at == stream => {
                assert_ne!(code, [0; 4], "to some a reset with NO_ERROR is an end");
                return Seen::Broken;
            }
            Ok(Some((0 | 1, flags, at, _))) if at == stream && flags & 1 != 0 => return Seen::Whole,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Seen::Broken,
        }
    }
}

/// What becomes of a message of HTTP/1 whose head and first half are in `held`.
fn message_end(peer: &mut Boxed, held: &mut Vec<u8>) -> Seen {
    let start = find(held, b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&held[..start]).to_ascii_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.split_once('\r'));
    let length: Option<usize> = length.map(|(digits, _)| digits.parse().expect("a length"));
    let chunked = head.contains("transfer-encoding: chunked");
    let whole = read_until(peer, held, |held| {
        let body = &held[start..];
        let whole = match length {
            Some(length) => body.len() >= length,
            None => chunked && find(body, b"0\r\n").is_some() && body.ends_with(b"\r\n\r\n"),
        };
        whole.then_some(())
    });
    match whole {
        Ok(Some(())) => Seen::Whole,
        Ok(None) if length.is_none() && !chunked => Seen::Whole,
        Ok(None) | Err(_) => Seen::Broken,
    }
}

/// What becomes of a tunnel.
fn tunnel_end(peer: &mut Boxed, held: &mut Vec<u8>) -> Seen {
    match read_until(peer, held, |_| None::<()>) {
        Ok(_) => Seen::Whole,
        Err(_) => Seen::Broken,
    }
}

/// The first half of a message behind its head's first line, and the rest of it.
fn halves(framing: Framing) -> (&'static str, &'static str) {
    match framing {
        Framing::Length => ("content-length: 8\r\n\r\nhalf", "half"),
        Framing::Chunks => ("transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "0\r\n\r\n"),
        Framing::Chunk => ("transfer-encoding: chunked\r\n\r\n8\r\nhalf", "half\r\n0\r\n\r\n"),
        Framing::Trailers => {
            ("transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nx-sum: 1\r\n", "x-too: 2\r\n\r\n")
        }
        Framing::Close => ("\r\nhalf", ""),
    }
}

/// The same in frames, behind a block of header fields.
fn framed_halves(framing: Framing, stream: u32, block: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let length: &[u8] = if framing == Framing::Length { b"\x0f\x0d\x018" } else { b"" };
    let head = frame(1, 4, stream, &[block, length].concat());
    ([head, frame(0, 0, stream, b"half")].concat(), frame(0, 1, stream, b"half"))
}

/// What is tried at the time.
#[derive(Clone)]
struct Case {
    /// Whether it is the server's message that breaks off.
    down: bool,
    tunnel: bool,
    framing: Framing,
    end: End,
    /// Opened once the other end has the first half.
    half: Gate,
    /// Told what the server made of the client's message.
    seen: Sender<Seen>,
}

/// A server that does as the case says.
struct Origin {
    address: String,
    case: Arc<Mutex<Option<Case>>>,
}

impl Origin {
    fn start(protocol: Protocol, tls: Option<Arc<ServerConfig>>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let case: Arc<Mutex<Option<Case>>> = Arc::default();
        let cases = case.clone();
        // It ends with the process: nobody waits for it.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { continue };
                patient(&socket);
                let (cases, tls) = (cases.clone(), tls.clone());
                std::thread::spawn(move || {
                    let peer: Boxed = match tls {
                        Some(config) => {
                            let connection = ServerConnection::new(config).expect("a connection");
                            Box::new(StreamOwned::new(connection, socket))
                        }
                        None => Box::new(socket),
                    };
                    match protocol {
                        Protocol::Http2 => serve_http2(peer, &cases),
                        _ => while_it_lasts(peer, &cases),
                    }
                });
            }
        });
        Origin { address, case }
    }

    fn case(&self, down: bool, tunnel: bool, framing: Framing, end: End) -> (Case, Receiver<Seen>) {
        let (seen, told) = channel();
        let case = Case { down, tunnel, framing, end, half: Gate::default(), seen };
        *self.case.lock().expect("no panic") = Some(case.clone());
        (case, told)
    }
}

fn at_hand(cases: &Mutex<Option<Case>>) -> Case {
    cases.lock().expect("no panic").clone().expect("a case")
}

fn while_it_lasts(mut peer: Boxed, cases: &Mutex<Option<Case>>) {
    let mut held = Vec::new();
    while let Ok(Some(_)) = read_until(&mut peer, &mut held, |held| find(held, b"\r\n\r\n")) {
        let case = at_hand(cases);
        let went_on = if case.tunnel {
            serve_tunnel(peer, held, &case)
        } else if case.down {
            answer_half(peer, &case)
        } else {
            take_half(peer, held, &case)
        };
        let Some(left) = went_on else { return };
        (peer, held) = (left, Vec::new());
    }
}

fn answer_half(mut peer: Boxed, case: &Case) -> Option<Boxed> {
    let (first, rest) = halves(case.framing);
    peer.write_all(format!("HTTP/1.1 200 OK\r\n{first}").as_bytes()).ok()?;
    case.half.pass();
    if case.end == End::Whole {
        peer.write_all(rest.as_bytes()).ok()?;
    }
    break_off(peer, 0, case.end)
}

fn take_half(mut peer: Boxed, mut held: Vec<u8>, case: &Case) -> Option<Boxed> {
    read_until(&mut peer, &mut held, |held| find(held, b"half")).ok()??;
    case.half.open();
    let seen = message_end(&mut peer, &mut held);
    let _ = case.seen.send(seen);
    peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok()?;
    (seen == Seen::Whole).then_some(peer)
}

fn serve_tunnel(mut peer: Boxed, mut held: Vec<u8>, case: &Case) -> Option<Boxed> {
    let answer: &[u8] = if held.starts_with(b"CONNECT") {
        b"HTTP/1.1 200 OK\r\n\r\n"
    } else {
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    };
    peer.write_all(answer).ok()?;
    if case.down {
        peer.write_all(b"half").ok()?;
        case.half.pass();
        let kept = break_off(peer, 0, case.end);
        // Kept until the other side ends as well.
        return kept.and_then(|mut peer| read_until(&mut peer, &mut held, |_| None).ok()?);
    }
    read_until(&mut peer, &mut held, |held| find(held, b"half")).ok()??;
    case.half.open();
    let _ = case.seen.send(tunnel_end(&mut peer, &mut held));
    peer.say_end();
    None
}

fn serve_http2(mut peer: Boxed, cases: &Mutex<Option<Case>>) {
    let mut held = Vec::new();
    if peer.write_all(&frame(4, 0, 0, b"")).is_err() {
        return;
    }
    let begun = read_until(&mut peer, &mut held, |held| (held.len() >= 24).then(|| drop(held.drain(..24))));
    if !matches!(begun, Ok(Some(()))) {
        return;
    }
    let mut wanted = None;
    while let Ok(Some((kind, flags, stream, payload))) = next_frame(&mut peer, &mut held) {
        match kind {
            4 if flags & 1 == 0 => peer.write_all(&frame(4, 1, 0, b"")).expect("an acknowledgement"),
            1 => {
                let case = at_hand(cases);
                if case.down {
                    let (first, rest) = framed_halves(case.framing, stream, b"\x88");
                    peer.write_all(&first).expect("an answer");
                    case.half.pass();
                    if matches!(case.end, End::Whole | End::WholeAndReset) {
                        peer.write_all(&rest).expect("an answer");
                    }
                    let Some(kept) = break_off(peer, stream, case.end) else { return };
                    peer = kept;
                } else {
                    wanted = Some((stream, case));
                }
            }
            0 if payload == b"half" && wanted.is_some() => {
                let (stream, case) = wanted.take().expect("a request");
                case.half.open();
                let _ = case.seen.send(stream_end(&mut peer, &mut held, stream));
                let answer = frame(1, 5, stream, b"\x88");
                if peer.write_all(&answer).is_err() {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// A client's connection, with what it has read.
struct Client {
    peer: Boxed,
    protocol: Protocol,
    held: Vec<u8>,
}

/// The first line and header of a request over HTTP/1, or its fields over HTTP/2.
fn request(protocol: Protocol, method: &str) -> Vec<u8> {
    match (protocol, method) {
        (Protocol::Http10, _) => format!("{method} / HTTP/1.0\r\nhost: a\r\n").into_bytes(),
        (Protocol::Http11, _) => format!("{method} / HTTP/1.1\r\nhost: a\r\n").into_bytes(),
        (Protocol::Http2, "GET") => b"\x82\x86\x84\x01\x01a".to_vec(),
        (Protocol::Http2, _) => b"\x83\x86\x84\x01\x01a".to_vec(),
    }
}

impl Client {
    /// Connects, by TLS where there are settings for it.
    fn connect(proxy: &Proxy, protocol: Protocol, tls: Option<&Arc<ClientConfig>>) -> Client {
        let address = &proxy.addresses[usize::from(tls.is_some())];
        let socket = TcpStream::connect(address).expect("a connection");
        patient(&socket);
        let mut peer: Boxed = match tls {
            Some(config) => {
                let mut config = ClientConfig::clone(config);
                let http2 = protocol == Protocol::Http2;
                config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
                let name = ServerName::try_from("a.example").expect("a name");
                let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
                Box::new(StreamOwned::new(connection, socket))
            }
            None => Box::new(socket),
        };
        if protocol == Protocol::Http2 {
            let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, b"")[..]].concat();
            peer.write_all(&preface).expect("a preface");
        }
        Client { peer, protocol, held: Vec::new() }
    }

    fn ask(&mut self) {
        let head = request(self.protocol, "GET");
        let bytes = match self.protocol {
            Protocol::Http2 => frame(1, 5, 1, &head),
            _ => [&head[..], b"\r\n"].concat(),
        };
        self.peer.write_all(&bytes).expect("a request");
    }

    /// Waits for the first half of what comes.
    fn await_half(&mut self) {
        let came = match self.protocol {
            Protocol::Http2 => loop {
                match next_frame(&mut self.peer, &mut self.held).expect("no error") {
                    Some((0, _, _, payload)) if payload == b"half" => break true,
                    Some(_) => {}
                    None => break false,
                }
            },
            _ => read_until(&mut self.peer, &mut self.held, |held| find(held, b"half"))
                .expect("no error")
                .is_some(),
        };
        assert!(came, "it ended before the first half: {:?}", String::from_utf8_lossy(&self.held));
    }

    /// What becomes of the answer.
    fn answer_end(&mut self) -> Seen {
        match self.protocol {
            Protocol::Http2 => stream_end(&mut self.peer, &mut self.held, 1),
            _ => message_end(&mut self.peer, &mut self.held),
        }
    }

    /// Uploads as the case says.
    fn upload(mut self, case: &Case) -> Option<Boxed> {
        let head = request(self.protocol, "POST");
        let (first, rest) = match self.protocol {
            Protocol::Http2 => framed_halves(case.framing, 1, &head),
            _ => {
                let (first, rest) = halves(case.framing);
                ([&head[..], first.as_bytes()].concat(), rest.as_bytes().to_vec())
            }
        };
        self.peer.write_all(&first).expect("a request");
        case.half.pass();
        if case.end == End::Whole {
            self.peer.write_all(&rest).expect("a request");
        }
        let kept = break_off(self.peer, 1, case.end);
        kept.inspect(|peer| {
            if case.end == End::Left {
                peer.socket().shutdown(Shutdown::Write).expect("an end");
            }
        })
    }

    /// Opens a tunnel.
    fn open(&mut self, connect: bool) {
        let head: Vec<u8> = match (self.protocol, connect) {
            (Protocol::Http2, true) => frame(1, 4, 1, b"\x02\x07CONNECT\x01\x03a:1"),
            (Protocol::Http2, false) => {
                frame(1, 4, 1, b"\x02\x07CONNECT\x00\x09:protocol\x09websocket\x86\x84\x01\x01a")
            }
            (_, true) => b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n".to_vec(),
            (_, false) => {
                b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec()
            }
        };
        self.peer.write_all(&head).expect("a request");
        if self.protocol == Protocol::Http2 {
            while !matches!(next_frame(&mut self.peer, &mut self.held), Ok(Some((1, ..)))) {}
        } else {
            let end = read_until(&mut self.peer, &mut self.held, |held| find(held, b"\r\n\r\n"));
            drop(self.held.drain(..end.expect("no error").expect("a head") + 4));
        }
    }
}

/// Certificates for the proxy and for servers by TLS, and what its clients go by.
struct Secured {
    directory: Directory,
    clients: Arc<ClientConfig>,
    servers: Arc<ServerConfig>,
}

fn secured() -> Secured {
    let authority = Authority::new();
    let directory = Directory::new();
    let signed = authority.sign(&["a.example"]);
    directory.write("site.pem", signed.pem());
    let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let servers = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("a chain"), key)
        .expect("a certificate");
    Secured { directory, clients: authority.clients().0, servers: Arc::new(servers) }
}

/// A server of a kind, and the proxy before it; on its second address by TLS.
fn before(protocol: Protocol, tls: bool) -> (Origin, Proxy, Arc<ClientConfig>) {
    let Secured { directory, clients, servers } = secured();
    let origin = Origin::start(protocol, tls.then_some(servers));
    let mut lines = String::new();
    if tls {
        lines += "ssl = true\nverify = \"none\"\n";
    }
    if protocol == Protocol::Http2 {
        lines += "proto = \"h2\"\n";
    }
    let bind = "{ address = \"127.0.0.2:0\", tls = { crt = \"site.pem\" } }";
    let setup = proxy().bind(bind).backend("retries = 0").server_at("s", &origin.address, &lines);
    (origin, setup.start_in(directory), clients)
}

const SERVERS: [(Protocol, bool); 3] =
    [(Protocol::Http11, false), (Protocol::Http11, true), (Protocol::Http2, false)];
const CLIENTS: [(Protocol, bool); 5] = [
    (Protocol::Http10, false),
    (Protocol::Http11, false),
    (Protocol::Http11, true),
    (Protocol::Http2, false),
    (Protocol::Http2, true),
];
const FRAMINGS: [Framing; 5] =
    [Framing::Length, Framing::Chunks, Framing::Chunk, Framing::Trailers, Framing::Close];

/// How a message can go on for who speaks this.
fn ends(protocol: Protocol, tls: bool) -> Vec<End> {
    let mut ends = vec![End::Whole, End::Closed, End::Reset];
    if tls {
        ends.push(End::Unsaid);
    }
    if protocol == Protocol::Http2 {
        // NO_ERROR, CANCEL, INTERNAL_ERROR.
        ends.extend([End::Stream(0), End::Stream(8), End::Stream(2), End::Left]);
    }
    ends
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole_to_any_client() {
    for (server, server_tls) in SERVERS {
        let (origin, proxy, tls) = before(server, server_tls);
        for (client, by_tls) in CLIENTS {
            let mut ends = ends(server, server_tls);
            if server == Protocol::Http2 {
                ends.push(End::WholeAndReset);
            }
            for (framing, end) in FRAMINGS.iter().flat_map(|framing| ends.iter().map(|end| (*framing, *end)))
            {
                if server == Protocol::Http2 && !matches!(framing, Framing::Length | Framing::Close) {
                    continue;
                }
                let by_close = framing == Framing::Close && server != Protocol::Http2;
                let end = if by_close && end == End::Whole { End::Closed } else { end };
                let (case, _) = origin.case(true, false, framing, end);
                let mut client = Client::connect(&proxy, client, by_tls.then_some(&tls));
                client.ask();
                client.await_half();
                case.half.open();
                let whole = matches!(end, End::Whole | End::WholeAndReset) || by_close && end == End::Closed;
                let expected = if whole { Seen::Whole } else { Seen::Broken };
                assert_eq!(
                    client.answer_end(),
                    expected,
                    "{:?} (TLS: {by_tls}) before {server:?} (TLS: {server_tls}): {framing:?}, {end:?}",
                    client.protocol
                );
            }
        }
        assert!(proxy.exchanges().iter().all(|line| line.state == "----" || line.state == "SD--"));
    }
}

#[test]
fn a_request_that_breaks_off_does_not_look_whole_to_any_server() {
    for (server, server_tls) in SERVERS {
        let (origin, proxy, tls) = before(server, server_tls);
        for (client, by_tls) in CLIENTS {
            let ends = ends(client, by_tls);
            for (framing, end) in FRAMINGS.iter().flat_map(|framing| ends.iter().map(|end| (*framing, *end)))
            {
                let possible = match client {
                    Protocol::Http10 => framing == Framing::Length,
                    Protocol::Http11 => framing != Framing::Close,
                    Protocol::Http2 => matches!(framing, Framing::Length | Framing::Close),
                };
                // The half that a server waits for has to reach it: what is in a chunk does as it comes.
                if !possible {
                    continue;
                }
                let (case, told) = origin.case(false, false, framing, end);
                let client = Client::connect(&proxy, client, by_tls.then_some(&tls));
                let protocol = client.protocol;
                let kept = client.upload(&case);
                let seen = told.recv_timeout(PATIENCE).expect("the server sees an end");
                drop(kept);
                let expected = if end == End::Whole { Seen::Whole } else { Seen::Broken };
                assert_eq!(
                    seen, expected,
                    "{protocol:?} (TLS: {by_tls}) before {server:?} (TLS: {server_tls}): {framing:?}, {end:?}"
                );
            }
        }
    }
}

#[test]
fn a_tunnel_that_breaks_off_does_not_end_in_order() {
    for server_tls in [false, true] {
        let (origin, proxy, tls) = before(Protocol::Http11, server_tls);
        for ((protocol, by_tls), connect) in CLIENTS[1..].iter().flat_map(|one| [(*one, true), (*one, false)])
        {
            for down in [true, false] {
                let ends = if down { ends(Protocol::Http11, server_tls) } else { ends(protocol, by_tls) };
                for end in ends {
                    let over_http2 = protocol == Protocol::Http2 && !down;
                    let in_order = if over_http2 { End::Whole } else { End::Closed };
                    if end == End::Left || end == End::Whole && !over_http2 {
                        continue;
                    }
                    let (case, told) = origin.case(down, true, Framing::Close, end);
                    let mut client = Client::connect(&proxy, protocol, by_tls.then_some(&tls));
                    client.open(connect);
                    let seen = if down {
                        client.await_half();
                        case.half.open();
                        match protocol {
                            Protocol::Http2 => stream_end(&mut client.peer, &mut client.held, 1),
                            _ => tunnel_end(&mut client.peer, &mut client.held),
                        }
                    } else {
                        let framed = protocol == Protocol::Http2;
                        let half = if framed { frame(0, 0, 1, b"half") } else { b"half".to_vec() };
                        client.peer.write_all(&half).expect("bytes");
                        case.half.pass();
                        if over_http2 && end == End::Whole {
                            client.peer.write_all(&frame(0, 1, 1, b"")).expect("an end");
                        }
                        let kept = break_off(client.peer, 1, end);
                        let seen = told.recv_timeout(PATIENCE).expect("the server sees an end");
                        drop(kept);
                        seen
                    };
                    let expected = if end == in_order { Seen::Whole } else { Seen::Broken };
                    assert_eq!(
                        seen, expected,
                        "{protocol:?} (TLS: {by_tls}), server by TLS: {server_tls}, CONNECT: {connect}, down: \
                         {down}, {end:?}"
                    );
                }
            }
        }
    }
}

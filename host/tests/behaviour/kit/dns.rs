//! A DNS server: it answers over UDP and TCP as its zone says, and fails as it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// How a server that fails does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It says nothing.
    Silent,
    /// SERVFAIL.
    Broken,
    /// REFUSED.
    Refused,
    /// It answers with bytes that are no message.
    Garbled,
    /// It answers to another question than the one that was asked.
    WrongId,
}

/// A server, until the test ends.
pub(crate) struct Dns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A TTL, and the data of each record.
type Records = (u32, Vec<Vec<u8>>);

#[derive(Default)]
struct State {
    /// Records by name and type.
    zone: BTreeMap<(String, u16), Records>,
    failing: Option<Failing>,
    truncating: bool,
    questions: usize,
    over_tcp: usize,
}

impl Dns {
    pub(crate) fn start() -> Dns {
        let (udp, tcp) = sockets();
        let dns = Dns { address: udp.local_addr().expect("it is bound"), state: Arc::default() };
        let state = dns.state.clone();
        std::thread::spawn(move || {
            let mut packet = [0; 1_500];
            while let Ok((length, peer)) = udp.recv_from(&mut packet) {
                if let Some(answer) = answer(&state, &packet[..length], false) {
                    let _ = udp.send_to(&answer, peer);
                }
            }
        });
        let state = dns.state.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let state = state.clone();
                std::thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut packet = vec![0; u16::from_be_bytes(length).into()];
                        if stream.read_exact(&mut packet).is_err() {
                            return;
                        }
                        let Some(answer) = answer(&state, &packet, true) else { continue };
                        let _ = stream.write_all(&(answer.len() as u16).to_be_bytes());
                        let _ = stream.write_all(&answer);
                    }
                });
            }
        });
        dns
    }

    /// A section `[resolvers.test]` that asks it, impatiently; with more lines.
    pub(crate) fn resolvers(&self, lines: &str) -> String {
        Dns::section("test", &[self], lines)
    }

    /// A section `[resolvers.NAME]` that asks these.
    pub(crate) fn section(name: &str, servers: &[&Dns], lines: &str) -> String {
        let addresses: Vec<_> = servers.iter().map(|dns| format!("\"udp@{}\"", dns.address)).collect();
        format!(
            "[resolvers.{name}]\nnameservers = [{}]\ntimeout.retry = \"200ms\"\nresolve_retries = 1\n{lines}\n",
            addresses.join(", ")
        )
    }

    /// Sets the addresses of a name; none: there is no such name.
    pub(crate) fn addresses(&self, name: &str, ttl: u32, addresses: &[IpAddr]) {
        let data = |of: u16| {
            let chosen = addresses.iter().filter(move |ip| ip.is_ipv4() == (of == A));
            let data = chosen.map(|ip| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            });
            data.collect::<Vec<_>>()
        };
        self.set(name, A, ttl, data(A));
        self.set(name, AAAA, ttl, data(AAAA));
    }

    /// Sets the SRV records of a name: priority, weight, port, target.
    pub(crate) fn services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let data = services.iter().map(|(priority, weight, port, target)| {
            let mut data: Vec<u8> =
                [priority, weight, port].iter().flat_map(|number| number.to_be_bytes()).collect();
            data.extend(labels(target));
            data
        });
        self.set(name, SRV, ttl, data.collect());
    }

    /// Fails from now on, or no longer.
    pub(crate) fn fail(&self, failing: Option<Failing>) {
        self.lock().failing = failing;
    }

    /// Has no answer fit into a datagram from now on.
    pub(crate) fn truncate(&self) {
        self.lock().truncating = true;
    }

    /// The questions so far.
    pub(crate) fn questions(&self) -> usize {
        self.lock().questions
    }

    /// Those that came over TCP.
    pub(crate) fn over_tcp(&self) -> usize {
        self.lock().over_tcp
    }

    fn set(&self, name: &str, of: u16, ttl: u32, data: Vec<Vec<u8>>) {
        let key = (name.to_owned(), of);
        let zone = &mut self.lock().zone;
        if data.is_empty() { drop(zone.remove(&key)) } else { drop(zone.insert(key, (ttl, data))) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

/// A socket of each kind, of the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("it is bound")) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The answer to a question, if there is to be one.
fn answer(state: &Mutex<State>, packet: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let mut state = state.lock().expect("no panic");
    state.questions += 1;
    state.over_tcp += usize::from(tcp);
    let mut at = 12;
    let mut name = Vec::new();
    while let length @ 1.. = usize::from(*packet.get(at)?) {
        name.push(String::from_utf8_lossy(packet.get(at + 1..=at + length)?).to_lowercase());
        at += length + 1;
    }
    let of = u16::from_be_bytes([*packet.get(at + 1)?, *packet.get(at + 2)?]);
    let (question, name) = (packet.get(12..at + 5)?, name.join("."));
    let found = state.zone.get(&(name.clone(), of));
    let truncated = state.truncating && !tcp && found.is_some();
    let known = state.zone.keys().any(|(known, _)| *known == name);
    let code: u8 = match state.failing {
        Some(Failing::Silent) => return None,
        Some(Failing::Garbled) => return Some(packet[..2].iter().copied().chain([0xff; 9]).collect()),
        Some(Failing::Broken) => 2,
        Some(Failing::Refused) => 5,
        // Right but for the number, which is set below.
        Some(Failing::WrongId) => 0,
        None if known => 0,
        None => 3,
    };
    let records = found.filter(|_| code == 0 && !truncated);
    let count = records.map_or(0, |(_, data)| data.len() as u16);
    let mut answer = packet[..2].to_vec();
    answer[0] ^= u8::from(state.failing == Some(Failing::WrongId));
    answer.extend([0x84 | if truncated { 2 } else { 0 } | packet[2] & 1, 0x80 | code, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(question);
    for (ttl, data) in records.into_iter().flat_map(|(ttl, data)| data.iter().map(move |data| (ttl, data))) {
        answer.extend([0xc0, 12]);
        answer.extend(of.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

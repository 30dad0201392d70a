//! The benchmark's origin: one thread that answers on many ports and does as little as can be done, so that what a
//! run measures is the proxy in front of it.
//!
//! `lb-bench-origin FIRST_PORT COUNT` listens on 127.0.0.1. `/b/SIZE` is answered with so many bytes, `/hold` never,
//! and any other path with 100 bytes. What a request carries is read and thrown away.

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use lb_bench::head;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// What is sent of a body in one write.
const PIECE: usize = 256 << 10;
const SMALL: usize = 100;

struct Connection {
    stream: TcpStream,
    /// What has come and has not been used.
    held: Vec<u8>,
    /// Bytes of a request's body still to come.
    incoming: u64,
    /// The size of the answer that is due once that has come.
    owed: Option<u64>,
    /// A head to be sent, with the body where it is small.
    head: Vec<u8>,
    sent: usize,
    /// Bytes of a body still to be sent.
    outgoing: u64,
    closes: bool,
    holds: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, count] = &arguments[..] else { bail!("usage: lb-bench-origin FIRST_PORT COUNT") };
    let (first, count): (u16, u16) = (first.parse()?, count.parse()?);
    let mut poll = Poll::new()?;
    let mut listeners = Vec::new();
    for (port, number) in (first..).zip(0..count) {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
            .with_context(|| format!("cannot listen on port {port}"))?;
        poll.registry().register(&mut listener, Token(usize::from(number)), Interest::READABLE)?;
        listeners.push(listener);
    }
    println!("ready");
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let mut next = listeners.len();
    let mut events = Events::with_capacity(1024);
    let (mut input, output) = (vec![0; PIECE], vec![b'x'; PIECE]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(token) = event.token();
            if let Some(listener) = listeners.get(token) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(next), interest)?;
                    connections.insert(next, Connection::new(stream));
                    next += 1;
                }
            } else if let Some(connection) = connections.get_mut(&token)
                && !connection.advance(&mut input, &output)
            {
                connections.remove(&token);
            }
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            held: Vec::new(),
            incoming: 0,
            owed: None,
            head: Vec::new(),
            sent: 0,
            outgoing: 0,
            closes: false,
            holds: false,
        }
    }

    /// Does what can be done now; `false` once the connection is over.
    fn advance(&mut self, input: &mut [u8], output: &[u8]) -> bool {
        // A read that did not fill the buffer took all there was: what comes later is another event.
        let mut drained = false;
        loop {
            if self.sent < self.head.len() || self.outgoing > 0 {
                match self.send(output) {
                    Ok(()) => {}
                    Err(error) => return error.kind() == ErrorKind::WouldBlock,
                }
                if self.closes {
                    return false;
                }
            }
            if self.take(&[]) {
                continue;
            }
            if drained {
                return true;
            }
            match self.stream.read(input) {
                Ok(0) => return false,
                Ok(count) => {
                    drained = count < input.len();
                    self.take(&input[..count]);
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    fn send(&mut self, output: &[u8]) -> std::io::Result<()> {
        while self.sent < self.head.len() {
            self.sent += self.stream.write(&self.head[self.sent..])?;
        }
        while self.outgoing > 0 {
            let piece = output.len().min(usize::try_from(self.outgoing).unwrap_or(usize::MAX));
            self.outgoing -= self.stream.write(&output[..piece])? as u64;
        }
        Ok(())
    }

    /// Uses what has come; `true` once there is an answer to send.
    fn take(&mut self, news: &[u8]) -> bool {
        let body = usize::try_from(self.incoming).unwrap_or(usize::MAX).min(news.len());
        self.incoming -= body as u64;
        if body < news.len() {
            self.held.extend_from_slice(&news[body..]);
        }
        if self.owed.is_none()
            && !self.holds
            && let Some(head) = head(&self.held)
        {
            self.owed = self.size(head.length);
            self.holds = self.owed.is_none();
            self.closes = head.closes;
            let body = usize::try_from(head.body).unwrap_or(usize::MAX).min(self.held.len() - head.length);
            self.incoming = head.body - body as u64;
            self.held.drain(..head.length + body);
        }
        if self.incoming > 0 {
            return false;
        }
        let Some(size) = self.owed.take() else { return false };
        self.answer(size);
        true
    }

    /// The size of the answer that a request asks for; `None`: it never gets one.
    fn size(&self, length: usize) -> Option<u64> {
        let path = self.held[..length].split(|b| *b == b' ').nth(1).unwrap_or_default();
        if path == b"/hold" {
            return None;
        }
        let digits = path.strip_prefix(b"/b/").and_then(|digits| std::str::from_utf8(digits).ok());
        Some(digits.and_then(|digits| digits.parse().ok()).unwrap_or(SMALL as u64))
    }

    fn answer(&mut self, size: u64) {
        self.head.clear();
        self.sent = 0;
        let close = if self.closes { "connection: close\r\n" } else { "" };
        // Writing to a vector cannot fail.
        let _ = write!(
            self.head,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {size}\r\n{close}\r\n"
        );
        if size <= SMALL as u64 {
            self.head.extend((0..size).map(|_| b'x'));
        } else {
            self.outgoing = size;
        }
    }
}

//! A client that sends what the test says, byte by byte, and reads answers.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::wire::{Message, Socket, Wire};

/// A client's connection.
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// Connects to `address`, which may be `unix@PATH`.
#[track_caller]
pub(crate) fn client(address: &str) -> Client {
    let socket = match address.strip_prefix("unix@") {
        Some(path) => UnixStream::connect(path).map(Socket::Unix),
        None => TcpStream::connect(address).map(Socket::Tcp),
    };
    Client { wire: Wire::new(socket.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))) }
}

/// The answer to one GET on a connection of its own.
#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> Message {
    client(address).get(path)
}

impl Client {
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.write(bytes).expect("the connection takes what is sent");
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Message {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub(crate) fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Message {
        self.ask("GET", path, headers);
        self.response()
    }

    /// Sends a request without a body.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n");
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        self.send(text + "\r\n");
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Message {
        self.response_to("GET")
    }

    /// The next answer, to a request of this method.
    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Message {
        let mut response = self.head();
        self.wire.response_body(&mut response, method == "HEAD").expect("a whole body");
        response
    }

    /// The head of the next answer; its body is left for the test.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Message {
        self.wire.head().expect("an answer").expect("an answer, not the end of the connection")
    }

    /// Waits for the end of the connection, before which nothing may come.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.wire.read_to_end();
        // A reset is an end too.
        let rest = rest.unwrap_or_else(|error| {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "no end: {error}");
            Vec::new()
        });
        assert!(rest.is_empty(), "before the end came: {}", String::from_utf8_lossy(&rest));
    }
}

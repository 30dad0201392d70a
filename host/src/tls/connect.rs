//! The handshake with a server.

use std::future::poll_fn;
use std::io;

use rustls::{ClientConnection, Connection};

use super::carrier::{Broken, State};
use super::connector::Connector;
use crate::stream::Stream;

/// Makes TLS of a connection to a server.
///
/// # Errors
/// Those of the connection; `InvalidData` where the server's TLS, or its certificate, does not do.
pub(crate) async fn connect(connector: &Connector, socket: Stream) -> io::Result<Stream> {
    let connection = ClientConnection::new(connector.config.clone(), connector.name.clone());
    let connection = connection.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut state = State::new(socket, Connection::Client(connection));
    match poll_fn(|context| state.poll_handshake(context)).await {
        Ok(()) => Ok(state.into_stream()),
        Err(Broken::Closed) => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))
        }
        Err(Broken::Io(error)) => Err(error),
        Err(Broken::Refused(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

//! The handshake with a server.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, Connection};

use super::carrier::{Broken, State};
use super::certificate;
use super::connector::Connector;
use crate::stream::Stream;

/// What a client of a service needs that is no server: it trusts the authorities in this file.
///
/// # Errors
/// What is wrong with the file, for people.
pub(crate) fn trusting(ca_file: &Path) -> Result<Arc<ClientConfig>, String> {
    let authorities = certificate::authorities(ca_file).map_err(|unusable| unusable.message)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(authorities).with_no_client_auth()))
}

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

//! Connections to servers: made, kept while idle, and found out when they are stale. Each worker has its own.

pub(crate) mod http2;
mod own;
mod pool;

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, UnixStream};

use crate::backend::server::Server;
use crate::config::model::ServerAddress;
use crate::stream::Stream;
use crate::tls;

pub(crate) use http2::{Call, Seat, Sessions, as_http1};
pub(crate) use own::Own;
pub(crate) use pool::{Demand, Pool};

/// Connects to a server.
///
/// # Errors
/// Those of the system; `NotFound` while the server's name has no address.
pub(crate) async fn connect(server: &Server) -> io::Result<Stream> {
    let stream = match (&server.config.address, server.address()) {
        (ServerAddress::Unix(path), _) => UnixStream::connect(path).await.map(Stream::Unix),
        (_, Some(address)) => connect_tcp(address).await,
        (_, None) => Err(io::ErrorKind::NotFound.into()),
    }?;
    if server.config.tls.is_none() {
        return Ok(stream);
    }
    connect_tls(server, stream).await
}

async fn connect_tls(server: &Server, stream: Stream) -> io::Result<Stream> {
    let Some(connector) = server.tls().filter(|connector| connector.requests) else { return Ok(stream) };
    // The future of a handshake is large, and most connections have none.
    let connected = Box::pin(tls::connect(&connector, stream)).await;
    connected.inspect_err(|error| connector.complain(&server.config.name, error))
}

async fn connect_tcp(address: SocketAddr) -> io::Result<Stream> {
    #[cfg(test)]
    if let Some(connecting) = crate::simulated::dial(address) {
        return connecting.await;
    }
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

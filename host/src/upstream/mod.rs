//! Connections to servers: made, kept while idle, and found out when they are stale. Each worker has its own.

mod pool;

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, UnixStream};

use crate::backend::server::Server;
use crate::config::model::ServerAddress;
use crate::stream::Stream;

pub(crate) use pool::Pool;

/// Connects to a server.
///
/// # Errors
/// Those of the system; `NotFound` while the server's name has no address.
pub(crate) async fn connect(server: &Server) -> io::Result<Stream> {
    match (&server.config.address, server.address()) {
        (ServerAddress::Unix(path), _) => UnixStream::connect(path).await.map(Stream::Unix),
        (_, Some(address)) => connect_tcp(address).await,
        (_, None) => Err(io::ErrorKind::NotFound.into()),
    }
}

async fn connect_tcp(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

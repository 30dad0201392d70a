//! The admin listener: what those who watch the process may read of it. It runs on the control thread, which no
//! request of a client passes, and asks workers for nothing.
//!
//! It is for few and trusted clients, and bounded all the same: in connections, in the size of a head, in how long
//! a client may take.

mod answer;
mod page;
mod source;
mod system;
mod view;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::model;

pub(crate) use source::{InForce, Source};

/// Connections at once. Those who watch are few; more wait in the kernel.
const CONNECTIONS: usize = 32;
/// How long a client may take with a request's head, and idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last, so that who does not read its answer goes too.
const LIFETIME: Duration = Duration::from_secs(120);
/// The largest head.
const HEAD_BYTES: usize = 16 * 1024;
/// How long accepting rests after the system refused for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener at work, until it is dropped. Connections that stand then end on their own.
#[derive(Debug)]
pub(crate) struct Listening {
    config: model::Admin,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

/// A socket that is bound, and answers nobody yet.
#[derive(Debug)]
pub(crate) struct Bound {
    config: model::Admin,
    address: SocketAddr,
    listener: TcpListener,
}

/// Binds the listener. Must be called on the control thread's runtime.
///
/// # Errors
/// Those of the system, with the address named.
pub(crate) fn bind(config: &model::Admin) -> anyhow::Result<Bound> {
    let bound = StdListener::bind(config.bind).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?, TcpListener::from_std(listener)?))
    });
    let (address, listener) =
        bound.with_context(|| format!("cannot listen on {} for `admin`", config.bind))?;
    Ok(Bound { config: config.clone(), address, listener })
}

impl Bound {
    /// Begins to answer. Must be called on the control thread's local set.
    pub(crate) fn serve(self, source: Rc<Source>) -> Listening {
        let Bound { config, address, listener } = self;
        let task = tokio::task::spawn_local(accept(listener, address, source));
        Listening { config, address, task }
    }
}

impl Listening {
    /// Whether it is what the configuration wants.
    pub(crate) fn is(&self, config: &model::Admin) -> bool {
        self.config == *config
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, address: SocketAddr, source: Rc<Source>) {
    let desk = Rc::new(answer::Desk::new(source));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::task::spawn_local(async move {
                    connection(stream, address, desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to `admin`");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, desk: Rc<answer::Desk>) {
    let service = service_fn(move |request| {
        let answer = answer::to(&request, address, &desk);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LIFETIME, serving).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to `admin` failed"),
    }
}

//! The handshake with a client: bounded in time. Who waits for it, and what becomes of one that fails, is the caller's.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use rustls::{CertificateError, Connection, Error, ServerConnection};
use tokio::time::Instant;

use super::carrier::{Broken, State};
use super::listener::Listener;
use super::session::TlsSession;
use crate::stream::{Ending, Stream};
use crate::timer::Timer;

/// How long one may still take once it is hurried.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How much a handshake is wanted. The task is woken where that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    /// Within a second.
    Soon,
    No,
}

/// A handshake that came to nothing.
pub(crate) struct Unaccepted {
    pub(crate) why: Why,
    /// The connection, where the client has to be heard out so that it sees why.
    pub(crate) ending: Option<Ending>,
}

/// Why there is no connection.
pub(crate) enum Why {
    /// The handshake failed.
    Broken(Broken),
    /// It took too long.
    Timeout,
    /// Nobody wants it any more.
    Unwanted,
    /// It could not begin, which has been logged.
    NotBegun,
}

/// Makes TLS of a client's connection within `timeout`.
pub(crate) async fn accept(
    listener: &Listener,
    socket: Stream,
    timeout: Duration,
    wanted: impl Fn() -> Wanted,
) -> Result<(Stream, TlsSession), Unaccepted> {
    let connection = match ServerConnection::new(listener.config.clone()) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(%error, "a client's TLS cannot begin");
            return Err(Unaccepted { why: Why::NotBegun, ending: None });
        }
    };
    let mut state = State::new(socket, Connection::Server(connection));
    let mut timer = Timer::default();
    timer.set(Instant::now(), Some(timeout));
    let mut hurried = false;
    let done = poll_fn(|context| {
        if let Poll::Ready(done) = state.poll_handshake(context) {
            return Poll::Ready(done.map_err(Why::Broken));
        }
        match wanted() {
            Wanted::Yes => {}
            Wanted::Soon if std::mem::replace(&mut hurried, true) => {}
            Wanted::Soon => timer.set(Instant::now(), Some(LAST_CALL)),
            Wanted::No => return Poll::Ready(Err(Why::Unwanted)),
        }
        timer.poll_elapsed(context).map(|_| Err(Why::Timeout))
    })
    .await;
    match (done, state.connection()) {
        (Ok(()), Connection::Server(connection)) => {
            let session = TlsSession::of(connection);
            Ok((state.into_stream(), session))
        }
        (Ok(()), Connection::Client(_)) => Err(Unaccepted { why: Why::NotBegun, ending: None }),
        (Err(why), _) => {
            let told = matches!(why, Why::Broken(Broken::Refused(_)));
            Err(Unaccepted { why, ending: if told { state.into_ending() } else { None } })
        }
    }
}

impl Why {
    /// Whether the client has said nothing, and no more than gone.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Why::Broken(Broken::Closed | Broken::Io(_)))
    }

    /// HAProxy's words for it, and what rustls says beside them; `None` where the client did nothing wrong.
    pub(crate) fn words(&self) -> Option<(&'static str, Option<&Error>)> {
        match self {
            Why::Unwanted | Why::NotBegun => None,
            Why::Timeout => Some(("Timeout during SSL handshake", None)),
            Why::Broken(Broken::Closed) => Some(("Connection closed during SSL handshake", None)),
            Why::Broken(Broken::Io(_)) => Some(("Connection error during SSL handshake", None)),
            Why::Broken(Broken::Refused(error)) => Some((words(error), Some(error))),
        }
    }
}

fn words(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "SSL client CA chain cannot be verified"
        }
        // The latter are ours, and say more than rustls's.
        Error::InvalidCertificate(_) | Error::Other(_) => "SSL client certificate not trusted",
        _ => "SSL handshake failure",
    }
}

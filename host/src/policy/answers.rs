//! What the data path asks of policies and what they answer, in types of our own: the twins of the records
//! in `wit/`, where each is explained at length.

use std::sync::Arc;

/// Where a persistence policy finds the client's key: one place in the request and its counterpart in the
/// response. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The cookies of this name; in the response, the Set-Cookie of this name.
    Cookie(Arc<str>),
    /// The first header of this name, in lower case; in the response, the header of this name.
    Header(Arc<str>),
    /// The first query parameter of this name; in the response, nothing.
    Query(Arc<str>),
}

/// What became of the key that the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Standing {
    /// The client sent none. In the log: `N`.
    #[default]
    Absent,
    /// It names no server. `I`.
    Unknown,
    /// It names a server that is not usable now. `D`.
    Down,
    /// It names a usable server. `V`.
    Valid,
    /// It has been idle too long. `E`.
    Expired,
    /// It has lived too long. `O`.
    Old,
}

impl Standing {
    /// The third character of HAProxy's termination state.
    pub fn letter(self) -> u8 {
        match self {
            Standing::Absent => b'N',
            Standing::Unknown => b'I',
            Standing::Down => b'D',
            Standing::Valid => b'V',
            Standing::Expired => b'E',
            Standing::Old => b'O',
        }
    }
}

/// What to do with a key where it stands; everything around it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyEdit {
    /// Leave it.
    #[default]
    Keep,
    /// Cut it out.
    Remove,
    /// Put this value in place of the old. Fit to stand there: the host has looked at its bytes.
    Replace(String),
}

/// What persistence makes of a request's key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affinity {
    /// The server to use, an index into the backend's servers, usable when it was asked for; `None` lets the
    /// balancer pick.
    pub server: Option<u32>,
    /// What became of the key.
    pub standing: Standing,
    /// What to do with the key in the request before the server sees it.
    pub key: KeyEdit,
    /// To be handed on to `respond`.
    pub note: u64,
}

/// A response on its way to the client.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The server that answered: an index into the backend's servers.
    pub server: u32,
    /// What `recall` said; [`Standing::Absent`] where it was not called; [`Standing::Down`] where the request
    /// had to leave the server that it named.
    pub standing: Standing,
    /// What `recall` noted; 0 where it was not called.
    pub note: u64,
    /// Whether a shared cache may store the response.
    pub cacheable: bool,
    /// The value of the key that the server itself sent in this response.
    pub sent: Option<&'a [u8]>,
    /// When the response arrived: milliseconds since 1970, UTC.
    pub time_ms: u64,
}

/// A change to the response's headers. Names are tokens in lower case, values free of line breaks: the host
/// has looked at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Add a line after any others of this name.
    Append {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Put this line in place of all others of this name.
    Set {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Remove all lines of this name.
    Remove(String),
}

/// What persistence changes in a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amendment {
    /// What to do with the key that the server itself sent.
    pub key: KeyEdit,
    /// Changes to other headers, to be made in order, after `key`.
    pub headers: Vec<HeaderEdit>,
}

/// How an attempt to have a request served ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The response came whole, whatever its status.
    Answered,
    /// The connection could not be made.
    Unreachable,
    /// The connection closed or broke, or what came was no HTTP, before the response was whole.
    Broken,
    /// The response's head, or the rest of it, did not come in time.
    TimedOut,
    /// It was the client's doing, or nobody's: it says nothing of the server.
    Abandoned,
}

/// One attempt to have a request served, from its place at the server to its end.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The server tried: an index into the backend's servers.
    pub server: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// The response's status code; 0 where no whole head came.
    pub status: u16,
    /// Microseconds until the connection stood; 0 where none was made.
    pub connect_us: u64,
    /// Microseconds until the response's head was there; where none came, until the end. Without the time that the client
    /// took for its request.
    pub latency_us: u64,
    /// Bytes of the response that went to the client, its head included.
    pub bytes: u64,
    /// When it ended: milliseconds since 1970, UTC.
    pub time_ms: u64,
}

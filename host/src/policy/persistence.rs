//! Who knows again the client that a server has served.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Affinity, Amendment, Key, Reply};
use crate::http::head::{RequestHead, ResponseHead};

/// The persistence of a backend on one worker.
pub struct Persistence {
    key: Key,
    nothing: Arc<Amendment>,
}

impl Persistence {
    /// Where the key is: requests without it need no [`recall`](Self::recall).
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Finds the server that the key's value names.
    pub fn recall(
        &mut self,
        _request: &Arc<RequestHead>,
        _value: &[u8],
        _client: IpAddr,
        _time_ms: u64,
    ) -> Affinity {
        Affinity::default()
    }

    /// Says what to change in a response.
    pub fn respond(
        &mut self,
        _request: &Arc<RequestHead>,
        _response: &Arc<ResponseHead>,
        _reply: Reply<'_>,
    ) -> Arc<Amendment> {
        self.nothing.clone()
    }
}

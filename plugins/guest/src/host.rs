//! What a policy may ask of the host: the imported interfaces. Natively the answers come from the
//! [`Scene`](crate::testing::Scene) whose call is running; without one they are empty.

#[cfg(target_arch = "wasm32")]
use crate::bindings::lb::policy as there;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::world as there;

/// The request being decided on: live during `pick`, `recall` and `respond`, else empty.
///
/// Bytes that are not UTF-8 arrive as U+FFFD. A string costs about 0.15 us a call, a number 0.05.
pub mod request {
    use alloc::string::String;

    use super::there::request;

    /// The method, in capitals as sent.
    pub fn method() -> String {
        request::method()
    }

    /// The path as sent, without the query.
    pub fn path() -> String {
        request::path()
    }

    /// The query, without the question mark; `None` where there is no question mark.
    pub fn query() -> Option<String> {
        request::query()
    }

    /// The authority: HTTP/2's `:authority` or HTTP/1's Host; empty where there is none.
    pub fn authority() -> String {
        request::authority()
    }

    /// The value of the first header of this name, in whatever case it is asked for.
    pub fn header(name: &str) -> Option<String> {
        request::header(name)
    }

    /// The value of the first cookie of this name.
    pub fn cookie(name: &str) -> Option<String> {
        request::cookie(name)
    }

    /// The port of the client's end of the connection; 0 where unknown.
    pub fn client_port() -> u16 {
        request::client_port()
    }
}

/// The response being amended: live during `respond`, else empty.
pub mod response {
    use alloc::string::String;

    use super::there::response;

    /// The status code.
    pub fn status() -> u16 {
        response::status()
    }

    /// The value of the first header of this name, in whatever case it is asked for.
    pub fn header(name: &str) -> Option<String> {
        response::header(name)
    }
}

/// The candidates as they are this moment: live during `pick`, by the indices of the last `update`.
pub mod candidates {
    use alloc::vec::Vec;

    use super::there::candidates;

    /// How many requests the candidate has in flight, over all workers, this one not included. About 0.05 us.
    pub fn load(candidate: u32) -> u32 {
        candidates::load(candidate)
    }

    /// The loads of all candidates, in order: cheaper than one by one from the third on.
    pub fn loads() -> Vec<u32> {
        candidates::loads()
    }
}

/// The servers as they are this moment: live during `recall` and `respond`, by the indices of `configure`.
pub mod servers {
    use super::there::servers;

    /// Whether the server may take a request of a client that is bound to it: it is up, be it draining, a backup
    /// or of weight 0.
    pub fn usable(server: u32) -> bool {
        servers::usable(server)
    }
}

/// The host's log: live during every call.
pub mod log {
    use super::there::log;
    pub use crate::bindings::lb::policy::log::Level;

    /// Writes a line, marked with the policy and the backend. Past 10 lines a second they are counted instead.
    pub fn write(level: Level, message: &str) {
        log::write(level, message);
    }
}

//! What goes wrong, and what comes of it: the one table from a failure's source and phase to the status, to
//! whether another try may follow, to whose doing it was, and to the first two characters of the log's termination
//! state; and the pages that are sent. HAProxy's, as its manual (section 8.5) and its behaviour have it.
//!
//! Pure data: nothing here does I/O or knows of an exchange.

use std::sync::LazyLock;

/// Something that ended an exchange, or kept it from beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// What came is no request that can be understood, or larger than a head may be.
    BadRequest,
    /// The request's body turned out malformed while the server had not answered yet.
    BadRequestBody,
    /// The request's body turned out malformed when the response was on its way already.
    BadRequestData,
    /// The request's head is well formed, but its encodings cannot be passed on.
    Unprocessable,
    /// The request is larger than is allowed.
    RequestTooLarge,
    /// The client was too slow with the request's head.
    RequestTimeout,
    /// The client closed the connection within the request's head.
    ClientAbortsRequest,
    /// The client went away while its request was queued.
    ClientAbortsQueue,
    /// The client went away while a connection was made for it.
    ClientAbortsConnect,
    /// The client went away while the server was at work. The log shows a 400, which nobody reads.
    ClientAbortsWait,
    /// The client went away within the request's body.
    ClientAbortsUpload,
    /// The client went away within the response's body.
    ClientAbortsData,
    /// The client was silent for too long within the request's body, to which there was no response yet.
    ClientTimeoutUpload,
    /// The client neither sent nor took data for too long.
    ClientTimeoutData,
    /// Nothing passed through a tunnel for too long, and both sides would have taken it.
    TunnelIdle,
    /// No server may be chosen.
    NoServer,
    /// The backend's circuit breaker is open, or the backend holds as much as it may.
    CircuitOpen,
    /// No server had room in time.
    QueueTimeout,
    /// The server refused the connection, or cannot be reached.
    ConnectRefused,
    /// The connection took too long.
    ConnectTimeout,
    /// This process ran out of sockets, ports or memory for the connection.
    ConnectExhausted,
    /// A kept connection was closed by the server before it said a word to this request: it was closing
    /// already.
    ServerStale,
    /// The server closed the connection before a byte of its response.
    ServerEmpty,
    /// The server closed the connection before its response's head was whole.
    ServerClosed,
    /// The server closed the connection before its response's head was whole, after the client had kept it waiting for
    /// the rest of the request.
    ServerGaveUp,
    /// The server's response cannot be understood.
    ServerInvalid,
    /// The server was too slow with its response's head.
    ServerTimeout,
    /// The server closed the connection within its response's body.
    ServerAbortsData,
    /// The response's body turned out malformed.
    ServerInvalidData,
    /// The server was silent for too long within its response's body.
    ServerTimeoutData,
    /// This program failed.
    Internal,
    /// The exchange was cut off from without: a drain whose time was up.
    Killed,
}

/// What comes of a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The status to answer, where nothing was answered yet. `None`: the connection just closes.
    pub status: Option<u16>,
    /// The termination state's first character: who ended the exchange.
    pub cause: u8,
    /// Its second: in which phase.
    pub phase: u8,
    /// Whether another try may follow.
    pub retry: Retry,
    /// Whose doing it is.
    pub fault: Fault,
}

/// Whose doing a failure is. What counts against a server goes by this and by nothing else: passive checks, circuit
/// breakers, and what balancers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client's: it left, was too slow, or sent what is none.
    Client,
    /// Nobody's who could be named, or this process's own: it says nothing of the server.
    Neither,
    /// The server's, which could not be reached.
    Unreachable,
    /// The server's, which sent what cannot be understood.
    Invalid,
    /// The server's, which closed the connection before its response was whole.
    Closed,
    /// The server's, which was silent, or took nothing, for too long.
    Silent,
}

/// Whether another try at a server may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// None: it would change nothing, or the answer is on its way.
    Never,
    /// At once, on a new connection to the same server, not counted: the server never saw this request.
    Reconnect,
    /// As often as `retries` says, on the same server after a pause; with `redispatch` the last time on
    /// another. No server saw the request.
    Connect,
    /// As [`Retry::Connect`], without a pause, if the request may come twice and `retry_on` has `empty-response`.
    Empty,
    /// The same with `junk-response`.
    Junk,
    /// The same with `response-timeout`.
    Timeout,
}

impl Failure {
    /// What comes of it. The table.
    pub fn outcome(self) -> Outcome {
        use Failure::*;
        use Fault::{Client, Closed, Invalid, Neither, Silent, Unreachable};
        use Retry::{Connect, Empty, Junk, Never, Reconnect, Timeout};
        #[rustfmt::skip]
        let (status, [cause, phase], retry, fault) = match self {
            // The client's side.
            BadRequest          => (Some(400), b"PR", Never, Client),
            BadRequestBody      => (Some(400), b"PH", Never, Client),
            BadRequestData      => (None,      b"PD", Never, Client),
            Unprocessable       => (Some(422), b"PR", Never, Client),
            RequestTooLarge     => (Some(413), b"PR", Never, Client),
            RequestTimeout      => (Some(408), b"cR", Never, Client),
            ClientAbortsRequest => (Some(400), b"CR", Never, Client),
            ClientAbortsQueue   => (None,      b"CQ", Never, Client),
            ClientAbortsConnect => (None,      b"CC", Never, Client),
            ClientAbortsWait    => (Some(400), b"CH", Never, Client),
            ClientAbortsUpload  => (None,      b"CD", Never, Client),
            ClientAbortsData    => (None,      b"CD", Never, Client),
            ClientTimeoutUpload => (Some(408), b"cD", Never, Client),
            ClientTimeoutData   => (None,      b"cD", Never, Client),
            TunnelIdle          => (None,      b"cD", Never, Neither),
            // The way to a server.
            NoServer            => (Some(503), b"SC", Never, Neither),
            CircuitOpen         => (Some(503), b"PC", Never, Neither),
            QueueTimeout        => (Some(503), b"sQ", Never, Neither),
            ConnectRefused      => (Some(503), b"SC", Connect, Unreachable),
            ConnectTimeout      => (Some(503), b"sC", Connect, Unreachable),
            ConnectExhausted    => (Some(503), b"RC", Never, Neither),
            // The server's side.
            ServerStale         => (Some(502), b"SH", Reconnect, Closed),
            ServerEmpty         => (Some(502), b"SH", Empty, Closed),
            ServerClosed        => (Some(502), b"SH", Junk, Closed),
            ServerGaveUp        => (Some(502), b"SH", Never, Neither),
            ServerInvalid       => (Some(502), b"PH", Junk, Invalid),
            ServerTimeout       => (Some(504), b"sH", Timeout, Silent),
            ServerAbortsData    => (None,      b"SD", Never, Closed),
            ServerInvalidData   => (None,      b"SD", Never, Invalid),
            ServerTimeoutData   => (None,      b"sD", Never, Silent),
            // Ours.
            Internal            => (Some(500), b"IH", Never, Neither),
            Killed              => (None,      b"KD", Never, Neither),
        };
        Outcome { status, cause: *cause, phase: *phase, retry, fault }
    }
}

/// Status, reason and text of each page. The reasons are HAProxy's.
const TEXTS: [(u16, &str, &str); 17] = [
    (400, "Bad request", "The request could not be understood."),
    (401, "Unauthorized", "This site wants to know who asks."),
    (403, "Forbidden", "A rule of this site does not allow this request."),
    (404, "Not Found", "There is nothing here."),
    (405, "Method Not Allowed", "This cannot be done with what is here."),
    (407, "Proxy Authentication Required", "This site wants to know who asks."),
    (408, "Request Time-out", "The request was not complete in time."),
    (410, "Gone", "There is nothing here any more."),
    (413, "Payload Too Large", "The request is larger than this site allows."),
    (422, "Unprocessable Content", "The request uses an encoding that cannot be passed on."),
    (425, "Too Early", "The request came before the connection was secure."),
    (429, "Too Many Requests", "Too many requests came in a short time. Please wait before the next one."),
    (500, "Internal Server Error", "Something went wrong on the way to the server."),
    (501, "Not Implemented", "The request asks for something that is not supported."),
    (502, "Bad Gateway", "The server gave no valid answer."),
    (503, "Service Unavailable", "No server can take this request right now."),
    (504, "Gateway Time-out", "The server did not answer in time."),
];

static PAGES: LazyLock<[Page; TEXTS.len()]> =
    LazyLock::new(|| TEXTS.map(|(status, reason, text)| Page::new(status, reason, text)));

/// What an answer says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It closes.
    Close,
    /// It stays, as HTTP/1.1 has it by default.
    Keep,
    /// It stays, and HTTP/1.0 wants that said.
    KeepAlive,
}

/// The answer to a failure, made once.
#[derive(Debug)]
pub struct Page {
    status: u16,
    /// Whole responses, for each [`Connection`].
    responses: [Box<[u8]>; 3],
    body: usize,
}

impl Page {
    fn new(status: u16, reason: &str, text: &str) -> Page {
        let body = format!("<html><body><h1>{status} {reason}</h1>\n{text}\n</body></html>\n");
        let lines = format!(
            "content-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n",
            body.len()
        );
        Page::made(status, reason.as_bytes(), lines.as_bytes(), body.as_bytes())
    }

    /// A page of header lines, each with its line end and none about the connection, and a body.
    pub(crate) fn made(status: u16, reason: &[u8], lines: &[u8], body: &[u8]) -> Page {
        let whole = |connection: &[u8]| {
            let first = format!("HTTP/1.1 {status} ");
            [first.as_bytes(), reason, b"\r\n", lines, connection, b"\r\n", body].concat().into_boxed_slice()
        };
        Page {
            status,
            responses: [whole(b"connection: close\r\n"), whole(b""), whole(b"connection: keep-alive\r\n")],
            body: body.len(),
        }
    }

    /// No answer at all: the connection just closes.
    pub(crate) fn silence(status: u16) -> Page {
        Page { status, responses: Default::default(), body: 0 }
    }

    /// Whether nothing is sent.
    pub(crate) fn is_silence(&self) -> bool {
        self.responses[0].is_empty()
    }

    /// The status that it is sent with.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of a status that has a page.
    pub(crate) fn reason(status: u16) -> Option<&'static str> {
        TEXTS.iter().find(|(known, ..)| *known == status).map(|(_, reason, _)| *reason)
    }

    /// The statuses that have pages.
    pub(crate) fn statuses() -> impl Iterator<Item = u16> {
        TEXTS.iter().map(|(status, ..)| *status)
    }

    /// As [`Page::response`], with more header lines, each with its line end.
    pub(crate) fn response_with(&self, connection: Connection, head_only: bool, lines: &[u8]) -> Vec<u8> {
        let whole = self.response(connection, head_only);
        let body = if head_only { 0 } else { self.body };
        match whole.len().checked_sub(body + 2) {
            Some(end) => [&whole[..end], lines, &whole[end..]].concat(),
            None => Vec::new(),
        }
    }

    /// The page for a status, if there is one.
    pub(crate) fn find(status: u16) -> Option<&'static Page> {
        PAGES.iter().find(|page| page.status == status)
    }

    /// The page for a status. One that no failure has gets that of 500.
    pub fn of(status: u16) -> &'static Page {
        Page::find(status).or_else(|| Page::find(500)).unwrap_or(&PAGES[0])
    }

    /// The page of a rule that denies with a status that has none.
    pub(crate) fn refusal(status: u16, reason: &str) -> Page {
        Page::new(status, reason, "A rule of this site does not allow this request.")
    }

    /// The response's bytes: a whole one, or its head alone as the answer to HEAD.
    pub fn response(&self, connection: Connection, head_only: bool) -> &[u8] {
        let whole = &self.responses[connection as usize];
        if head_only { &whole[..whole.len() - self.body] } else { whole }
    }
}

/// The complete response for a status, to a client of HTTP/1.1 that did not ask with HEAD.
pub fn response(status: u16, keep: bool) -> &'static [u8] {
    Page::of(status).response(if keep { Connection::Keep } else { Connection::Close }, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(failure: Failure) -> (Option<u16>, String) {
        let outcome = failure.outcome();
        (outcome.status, [outcome.cause, outcome.phase].map(char::from).iter().collect())
    }

    #[test]
    fn every_row_as_haproxy_has_it() {
        for (failure, status, termination) in [
            (Failure::BadRequest, 400, "PR"),
            (Failure::BadRequestBody, 400, "PH"),
            (Failure::Unprocessable, 422, "PR"),
            (Failure::RequestTooLarge, 413, "PR"),
            (Failure::RequestTimeout, 408, "cR"),
            (Failure::ClientAbortsRequest, 400, "CR"),
            (Failure::ClientAbortsWait, 400, "CH"),
            (Failure::ClientTimeoutUpload, 408, "cD"),
            (Failure::NoServer, 503, "SC"),
            (Failure::CircuitOpen, 503, "PC"),
            (Failure::QueueTimeout, 503, "sQ"),
            (Failure::ConnectRefused, 503, "SC"),
            (Failure::ConnectTimeout, 503, "sC"),
            (Failure::ConnectExhausted, 503, "RC"),
            (Failure::ServerStale, 502, "SH"),
            (Failure::ServerEmpty, 502, "SH"),
            (Failure::ServerClosed, 502, "SH"),
            (Failure::ServerGaveUp, 502, "SH"),
            (Failure::ServerInvalid, 502, "PH"),
            (Failure::ServerTimeout, 504, "sH"),
            (Failure::Internal, 500, "IH"),
        ] {
            assert_eq!(state(failure), (Some(status), termination.to_owned()), "{failure:?}");
        }
    }

    #[test]
    fn where_an_answer_is_under_way_or_nobody_is_there_the_connection_just_closes() {
        for (failure, termination) in [
            (Failure::BadRequestData, "PD"),
            (Failure::ClientAbortsQueue, "CQ"),
            (Failure::ClientAbortsConnect, "CC"),
            (Failure::ClientAbortsUpload, "CD"),
            (Failure::ClientAbortsData, "CD"),
            (Failure::ClientTimeoutData, "cD"),
            (Failure::TunnelIdle, "cD"),
            (Failure::ServerAbortsData, "SD"),
            (Failure::ServerInvalidData, "SD"),
            (Failure::ServerTimeoutData, "sD"),
            (Failure::Killed, "KD"),
        ] {
            assert_eq!(state(failure), (None, termination.to_owned()), "{failure:?}");
        }
    }

    #[test]
    fn what_a_server_may_have_seen_is_tried_again_for_a_reason_that_can_be_asked_for() {
        assert_eq!(Failure::ConnectRefused.outcome().retry, Retry::Connect);
        assert_eq!(Failure::ConnectTimeout.outcome().retry, Retry::Connect);
        assert_eq!(Failure::ServerStale.outcome().retry, Retry::Reconnect);
        assert_eq!(Failure::ServerEmpty.outcome().retry, Retry::Empty);
        assert_eq!(Failure::ServerClosed.outcome().retry, Retry::Junk);
        assert_eq!(Failure::ServerInvalid.outcome().retry, Retry::Junk);
        assert_eq!(Failure::ServerTimeout.outcome().retry, Retry::Timeout);
        for failure in [Failure::ClientAbortsWait, Failure::ServerAbortsData, Failure::NoServer] {
            assert_eq!(failure.outcome().retry, Retry::Never, "{failure:?}");
        }
    }

    #[test]
    fn a_response_is_complete() {
        let expected = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 103\r\ncache-control: no-cache\r\n\
                        content-type: text/html\r\nconnection: close\r\n\r\n<html><body><h1>503 Service \
                        Unavailable</h1>\nNo server can take this request right now.\n</body></html>\n";
        assert_eq!(String::from_utf8_lossy(response(503, false)), expected);
        let kept = expected.replace("connection: close\r\n", "");
        assert_eq!(String::from_utf8_lossy(response(503, true)), kept);
        let said = expected.replace("connection: close", "connection: keep-alive");
        let page = Page::of(503);
        assert_eq!(String::from_utf8_lossy(page.response(Connection::KeepAlive, false)), said);
    }

    #[test]
    fn every_page_says_its_own_length() {
        for page in PAGES.iter() {
            for connection in [Connection::Close, Connection::Keep, Connection::KeepAlive] {
                let whole = std::str::from_utf8(page.response(connection, false)).expect("ASCII");
                let (head, body) = whole.split_once("\r\n\r\n").expect("a head and a body");
                assert!(head.starts_with(&format!("HTTP/1.1 {} ", page.status)));
                assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())));
                let head_only = page.response(connection, true);
                assert_eq!(head_only, format!("{head}\r\n\r\n").as_bytes());
            }
        }
    }

    #[test]
    fn lines_are_added_to_a_head() {
        let page = Page::of(429);
        let whole =
            String::from_utf8(page.response_with(Connection::Close, false, b"retry-after: 7\r\n")).unwrap();
        let (head, body) = whole.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.ends_with("connection: close\r\nretry-after: 7"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        let alone = page.response_with(Connection::Close, true, b"retry-after: 7\r\n");
        assert_eq!(alone, format!("{head}\r\n\r\n").as_bytes());
        assert!(Page::silence(408).response_with(Connection::Close, true, b"a: b\r\n").is_empty());
    }

    #[test]
    fn every_status_of_the_table_has_a_page() {
        for status in [400, 403, 408, 413, 422, 429, 500, 502, 503, 504] {
            assert_eq!(Page::of(status).status, status);
        }
        assert_eq!(Page::of(599).status, 500);
    }
}

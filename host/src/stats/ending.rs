//! How an exchange ended, as the counters have it: read off its termination state, which the log writes too.

/// What an ending is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing went wrong, or nothing that anybody here is to blame for: a drain that cut it off.
    Clean,
    /// A rule or a limit refused the request.
    Denied,
    /// This process answered by itself: a redirect, a fixed answer.
    Intercepted,
    /// What came was no request, or not in time.
    RequestError,
    /// No server could be had.
    NoServer,
    /// The server's answer was none, broken or late.
    ResponseError,
    /// The client went away, or stopped reading or sending.
    ClientAbort,
    /// The server went away within its answer.
    ServerAbort,
    /// This program failed.
    Internal,
}

/// The ending that the first two characters of the termination state and the status tell of.
pub(crate) fn of(cause: u8, phase: u8, status: Option<u16>) -> Ending {
    match (cause, phase, status) {
        (b'L', ..) => Ending::Intercepted,
        (b'P', b'R', Some(400 | 408 | 413 | 422)) => Ending::RequestError,
        (b'P', b'R' | b'T', _) => Ending::Denied,
        (b'P', b'C', _) => Ending::NoServer,
        (b'C' | b'c', b'R', _) => Ending::RequestError,
        (b'C' | b'c', ..) => Ending::ClientAbort,
        (b'P', b'H', Some(502)) => Ending::ResponseError,
        (b'P', b'H' | b'D', _) => Ending::RequestError,
        (b'S' | b's' | b'R', b'C' | b'Q', _) => Ending::NoServer,
        (b'S' | b's', b'H', _) => Ending::ResponseError,
        (b'S' | b's', ..) => Ending::ServerAbort,
        (b'I', ..) => Ending::Internal,
        _ => Ending::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn every_failure_is_counted_as_what_it_is() {
        use Failure::*;
        let rows = [
            (Ending::RequestError, &[BadRequest, BadRequestBody, BadRequestData, Unprocessable][..]),
            (Ending::RequestError, &[RequestTooLarge, RequestTimeout, ClientAbortsRequest]),
            (Ending::ClientAbort, &[ClientAbortsQueue, ClientAbortsConnect, ClientAbortsWait]),
            (Ending::ClientAbort, &[ClientAbortsUpload, ClientAbortsData, ClientTimeoutData]),
            (Ending::ClientAbort, &[ClientTimeoutUpload, TunnelIdle]),
            (Ending::NoServer, &[CircuitOpen]),
            (Ending::NoServer, &[NoServer, QueueTimeout, ConnectRefused, ConnectTimeout, ConnectExhausted]),
            (Ending::ResponseError, &[ServerStale, ServerEmpty, ServerClosed, ServerInvalid, ServerTimeout]),
            (Ending::ResponseError, &[ServerGaveUp]),
            (Ending::ServerAbort, &[ServerAbortsData, ServerInvalidData, ServerTimeoutData]),
            (Ending::Internal, &[Internal]),
            (Ending::Clean, &[Killed]),
        ];
        for (ending, failures) in rows {
            for failure in failures {
                let outcome = failure.outcome();
                assert_eq!(of(outcome.cause, outcome.phase, outcome.status), ending, "{failure:?}");
            }
        }
        assert_eq!(of(b'-', b'-', Some(200)), Ending::Clean);
        assert_eq!(of(b'L', b'R', Some(302)), Ending::Intercepted);
        assert_eq!(of(b'P', b'R', Some(403)), Ending::Denied);
        assert_eq!(of(b'P', b'T', Some(500)), Ending::Denied);
    }
}

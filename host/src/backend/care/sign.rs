//! What the end of an attempt says of its server. Pure data.

use std::fmt;

use crate::failure::{Failure, Fault};

/// What an attempt says of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is well.
    Well,
    /// It is not.
    Ill(Symptom),
    /// Neither: the client went away, or this process is short of something.
    Nothing,
}

/// What is wrong with a server. Its text is HAProxy's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Symptom {
    /// No connection could be made.
    Unreachable,
    /// It answered that it failed: a status of 500 and more, but for 501 and 505.
    WrongStatus,
    /// It answered what cannot be understood.
    Invalid,
    /// It closed the connection before its answer was whole.
    Closed,
    /// It was silent for too long.
    Silent,
}

impl Symptom {
    const ALL: [Symptom; 5] =
        [Symptom::Unreachable, Symptom::WrongStatus, Symptom::Invalid, Symptom::Closed, Symptom::Silent];

    /// The one of this number; the first where there is none.
    pub(super) fn of_number(number: u32) -> Symptom {
        Symptom::ALL.into_iter().find(|symptom| *symptom as u32 == number).unwrap_or(Symptom::Unreachable)
    }
}

impl Sign {
    /// What an attempt says that ended like this: by a failure, or else with an answer of this status.
    pub fn of(failure: Option<Failure>, status: u16) -> Sign {
        match failure.map(|failure| failure.outcome().fault) {
            None if matches!(status, 501 | 505) => Sign::Well,
            None if status >= 500 => Sign::Ill(Symptom::WrongStatus),
            None => Sign::Well,
            Some(Fault::Unreachable) => Sign::Ill(Symptom::Unreachable),
            Some(Fault::Invalid) => Sign::Ill(Symptom::Invalid),
            Some(Fault::Closed) => Sign::Ill(Symptom::Closed),
            Some(Fault::Silent) => Sign::Ill(Symptom::Silent),
            Some(Fault::Client | Fault::Neither) => Sign::Nothing,
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Symptom::Unreachable => "L4 unsuccessful connection",
            Symptom::WrongStatus => "Wrong http response",
            Symptom::Invalid => "Invalid http response",
            Symptom::Closed => "Close from server (http)",
            Symptom::Silent => "Read timeout (http)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_their_status_as_haproxy_does() {
        for status in [100, 200, 302, 404, 429, 499, 501, 505] {
            assert_eq!(Sign::of(None, status), Sign::Well, "{status}");
        }
        for status in [500, 502, 503, 504, 599, 600] {
            assert_eq!(Sign::of(None, status), Sign::Ill(Symptom::WrongStatus), "{status}");
        }
    }

    #[test]
    fn a_client_that_leaves_says_nothing_of_the_server() {
        use Failure::*;
        for failure in [ClientAbortsWait, ClientAbortsUpload, ClientAbortsData, ClientTimeoutData, Killed] {
            assert_eq!(Sign::of(Some(failure), 0), Sign::Nothing, "{failure:?}");
        }
        for failure in [ClientAbortsQueue, ClientAbortsConnect, ClientTimeoutUpload, ServerGaveUp, TunnelIdle]
        {
            assert_eq!(Sign::of(Some(failure), 0), Sign::Nothing, "{failure:?}");
        }
        for failure in [ConnectExhausted, QueueTimeout, NoServer, BadRequestBody, Internal] {
            assert_eq!(Sign::of(Some(failure), 0), Sign::Nothing, "{failure:?}");
        }
        assert_eq!(Sign::of(Some(ServerAbortsData), 200), Sign::Ill(Symptom::Closed));
    }

    #[test]
    fn symptoms_are_known_by_their_numbers() {
        for symptom in Symptom::ALL {
            assert_eq!(Symptom::of_number(symptom as u32), symptom);
        }
    }
}

//! Errors of a server in live traffic, counted by all workers. Once there are too many in a row, whoever checks the
//! server hears of it.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::sync::Notify;

use super::sign::{Sign, Symptom};
use crate::config::model::care::{Layer, Observe};

/// What live traffic tells of a server.
#[derive(Debug)]
pub struct Passive {
    layer: Layer,
    limit: u32,
    /// Errors since the last success, or since there were too many.
    errors: AtomicU32,
    /// The last of them.
    last: AtomicU32,
    /// Says that there were too many.
    pub(in crate::backend) too_many: Notify,
}

/// Too many errors in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errors {
    /// So many.
    pub count: u32,
    /// The last of them.
    pub last: Symptom,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "detected {} consecutive errors, last one was: {}", self.count, self.last)
    }
}

impl Passive {
    /// Nothing is known yet.
    pub(in crate::backend) fn new(observe: &Observe) -> Passive {
        Passive {
            layer: observe.layer,
            limit: observe.error_limit.max(1),
            errors: AtomicU32::new(0),
            last: AtomicU32::new(0),
            too_many: Notify::new(),
        }
    }

    /// Counts an attempt; `connected` says whether a connection was made for it.
    pub fn note(&self, sign: Sign, connected: bool) {
        let sign = match (self.layer, sign) {
            (Layer::Answers, sign) | (Layer::Connections, sign @ Sign::Ill(Symptom::Unreachable)) => sign,
            (Layer::Connections, _) if connected => Sign::Well,
            (Layer::Connections, _) => Sign::Nothing,
        };
        match sign {
            Sign::Nothing => {}
            Sign::Well => {
                // Most often there is nothing to forget, and no reason to write to what all workers share.
                if self.errors.load(Relaxed) != 0 {
                    self.errors.store(0, Relaxed);
                }
            }
            Sign::Ill(symptom) => {
                self.last.store(symptom as u32, Relaxed);
                if self.errors.fetch_add(1, Relaxed) + 1 >= self.limit {
                    self.errors.store(0, Relaxed);
                    self.too_many.notify_one();
                }
            }
        }
    }

    /// What there were too many of.
    pub(in crate::backend) fn errors(&self) -> Errors {
        Errors { count: self.limit, last: Symptom::of_number(self.last.load(Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::config::model::care::OnError;

    fn passive(layer: Layer, error_limit: u32) -> Passive {
        Passive::new(&Observe { layer, error_limit, on_error: OnError::FailCheck })
    }

    /// Whether there have been too many errors since this was last asked.
    fn too_many(passive: &Passive) -> bool {
        let notified = std::pin::pin!(passive.too_many.notified());
        notified.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    const BROKEN: Sign = Sign::Ill(Symptom::Closed);
    const REFUSED: Sign = Sign::Ill(Symptom::Unreachable);

    #[test]
    fn so_many_errors_in_a_row_are_too_many_and_one_success_is_enough() {
        let passive = passive(Layer::Answers, 3);
        for sign in [BROKEN, BROKEN, Sign::Well, BROKEN, Sign::Nothing, REFUSED] {
            passive.note(sign, true);
            assert!(!too_many(&passive));
        }
        passive.note(BROKEN, true);
        assert!(too_many(&passive));
        assert_eq!(passive.errors(), Errors { count: 3, last: Symptom::Closed });
        for _ in 0..2 {
            passive.note(BROKEN, true);
            assert!(!too_many(&passive));
        }
        passive.note(BROKEN, true);
        assert!(too_many(&passive));
    }

    #[test]
    fn layer_4_sees_connections_alone() {
        let passive = passive(Layer::Connections, 2);
        passive.note(REFUSED, false);
        passive.note(BROKEN, false);
        passive.note(Sign::Well, false);
        passive.note(REFUSED, false);
        assert!(too_many(&passive), "requests on connections that were there already say nothing");
        passive.note(REFUSED, false);
        passive.note(BROKEN, true);
        passive.note(REFUSED, false);
        assert!(!too_many(&passive), "a connection was made in between");
    }
}

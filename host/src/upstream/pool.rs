//! A worker's idle connections to one server. The one used last is used first, so that those not needed
//! grow old and are closed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::http2::Sessions;
use crate::stream::Stream;

/// Idle connections to a server.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// The oldest in front.
    idle: VecDeque<Idle>,
    /// The version of the server's address that they lead to.
    address_version: u64,
    /// Connections that many requests share; they idle only in part.
    sessions: Sessions,
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
    /// Whether it has served more than one request.
    reused: bool,
}

/// What a request asks of a connection that has idled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// As good as can be known without a system call. Where it turns out to be closed, the request is sent again.
    Likely,
    /// Seen to be open by the system at this moment.
    Open {
        /// How long it must have idled.
        after: Duration,
        /// How long it may have idled.
        within: Option<Duration>,
        /// Whether it has to have been reused before.
        reused: bool,
    },
}

impl Pool {
    /// Takes a connection that does: the server has not closed it, and has sent nothing that nobody asked for.
    pub(crate) fn take(&mut self, address_version: u64, demand: Demand, now: Instant) -> Option<Stream> {
        self.forget_other_addresses(address_version);
        let Demand::Open { after, within, reused } = demand else {
            while let Some(idle) = self.idle.pop_back() {
                if !idle.stream.has_news() {
                    return Some(idle.stream);
                }
            }
            return None;
        };
        let idled = |idle: &Idle| now.saturating_duration_since(idle.since);
        for at in (0..self.idle.partition_point(|idle| idled(idle) >= after)).rev() {
            let idle = &self.idle[at];
            if within.is_some_and(|within| idled(idle) > within) {
                // Those in front of it have idled for longer still.
                return None;
            }
            if reused && !idle.reused {
                continue;
            }
            if let Some(idle) = self.idle.remove(at).filter(|idle| idle.stream.is_quiet()) {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Keeps a connection for the next request, at most `limit` of them. `reused`: it was taken from here before.
    pub(crate) fn put(
        &mut self,
        stream: Stream,
        address_version: u64,
        reused: bool,
        limit: usize,
        now: Instant,
    ) {
        self.forget_other_addresses(address_version);
        if limit == 0 {
            return;
        }
        if self.idle.len() >= limit {
            self.idle.pop_front();
        }
        self.idle.push_back(Idle { stream, since: now, reused });
    }

    /// Closes those that idle for longer than `timeout`, and those that the server has closed.
    pub(crate) fn purge(&mut self, now: Instant, timeout: Duration) {
        self.idle.retain(|idle| now - idle.since < timeout && !idle.stream.has_news());
        self.sessions.purge(now, timeout);
    }

    /// The connections of HTTP/2.
    pub(crate) fn sessions(&mut self, address_version: u64) -> Sessions {
        self.forget_other_addresses(address_version);
        self.sessions.clone()
    }

    /// Closes those that serve one request at a time, and answers how many they were.
    pub(crate) fn close_idle(&mut self) -> usize {
        let count = self.idle.len();
        self.idle.clear();
        count
    }

    /// Closes all of them.
    pub(crate) fn clear(&mut self) {
        self.idle.clear();
        self.sessions.clear();
    }

    fn forget_other_addresses(&mut self, address_version: u64) {
        if self.address_version != address_version {
            self.clear();
            self.address_version = address_version;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Tcp(near), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_given_out() {
        let mut pool = Pool::default();
        let (good, _kept) = pair().await;
        let (bad, mut far) = pair().await;
        far.shutdown().await.unwrap();
        let Stream::Tcp(socket) = &bad else { unreachable!("made over TCP") };
        socket.readable().await.unwrap();
        assert!(bad.has_news());
        pool.put(good, 0, false, 8, Instant::now());
        pool.put(bad, 0, false, 8, Instant::now());
        assert!(pool.take(0, Demand::Likely, Instant::now()).is_some());
        assert!(pool.take(0, Demand::Likely, Instant::now()).is_none());
    }

    #[tokio::test]
    async fn no_more_than_the_limit_are_kept_and_none_for_another_address() {
        let mut pool = Pool::default();
        let mut far = Vec::new();
        for _ in 0..3 {
            let (near, kept) = pair().await;
            far.push(kept);
            pool.put(near, 0, false, 2, Instant::now());
        }
        assert_eq!(pool.idle.len(), 2);
        assert!(pool.take(1, Demand::Likely, Instant::now()).is_none());
    }

    #[tokio::test]
    async fn old_connections_are_closed() {
        let mut pool = Pool::default();
        let (near, _far) = pair().await;
        let now = Instant::now();
        pool.put(near, 0, false, 8, now);
        pool.purge(now + Duration::from_secs(4), Duration::from_secs(5));
        assert_eq!(pool.idle.len(), 1);
        pool.purge(now + Duration::from_secs(6), Duration::from_secs(5));
        assert_eq!(pool.idle.len(), 0);
    }

    #[tokio::test]
    async fn an_end_that_the_runtime_has_not_heard_of_is_seen_where_that_is_asked_for() {
        let demand = Demand::Open { after: Duration::ZERO, within: None, reused: false };
        let (mut pool, now) = (Pool::default(), Instant::now());
        let (near, far) = pair().await;
        // The runtime looks at its sockets when all tasks wait, and none does from here on.
        drop(far);
        assert!(!near.has_news() && !near.is_quiet());
        pool.put(near, 0, false, 8, now);
        assert!(pool.take(0, demand, now).is_none());
        let (near, _far) = pair().await;
        pool.put(near, 0, false, 8, now);
        assert!(pool.take(0, demand, now).is_some());
    }

    #[tokio::test]
    async fn what_has_idled_for_too_long_or_was_never_reused_is_left_for_those_who_can_have_it() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let (old, _far) = pair().await;
        let (young, _other) = pair().await;
        pool.put(old, 0, true, 8, now);
        pool.put(young, 0, false, 8, now + Duration::from_secs(2));
        let later = now + Duration::from_secs(3);
        let demand = |within, reused| Demand::Open { after: Duration::ZERO, within, reused };
        let a_second = Some(Duration::from_secs(1));
        assert!(pool.take(0, demand(a_second, true), later).is_none());
        assert!(pool.take(0, demand(a_second, false), later).is_some());
        assert!(pool.take(0, demand(a_second, false), later).is_none());
        assert_eq!(pool.idle.len(), 1);
        assert!(pool.take(0, demand(None, true), later).is_some());
    }

    #[tokio::test]
    async fn what_has_only_just_answered_is_left_for_those_who_may_come_twice() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let (settled, _far) = pair().await;
        let (fresh, _other) = pair().await;
        pool.put(settled, 0, false, 8, now);
        pool.put(fresh, 0, false, 8, now + Duration::from_millis(2));
        let later = now + Duration::from_millis(3);
        let demand = Demand::Open { after: Duration::from_millis(2), within: None, reused: false };
        assert!(pool.take(0, demand, later).is_some());
        assert!(pool.take(0, demand, later).is_none());
        assert!(pool.take(0, Demand::Likely, later).is_some());
    }
}

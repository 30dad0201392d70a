//! Connections to servers that belong to one client: no other client's request is ever sent on them, and they are closed
//! with the client's own connection.
//!
//! A connection belongs to a client once something that was sent on it says who the client is, for all that follows:
//! NTLM and Negotiate authenticate the connection ([`crate::http::head::ResponseHead::binds_connection`]), and whoever
//! came next would be taken for that client. So it is from the answer that asks for such credentials on, or from the
//! request that brings them unasked, for all further connections to that server too. With `http_reuse = "never"` every
//! connection belongs to its client.
//!
//! What does not bind a connection: headers that are sent with each request, such as those with a client's address or
//! certificate; SNI and a certificate of ours, which are the same for all connections to a server. What would: a PROXY
//! line, or a source address taken from the client, once there is either. Both are said when a connection is made, so
//! that one made with them has to be put here, and may be taken by the client of that address alone: the place to ask is
//! `Exchange::is_own`.
//!
//! They stay with the client's connection, not with a configuration: a reload that leaves a server's address and TLS as
//! they are leaves them too, whatever else it changes. A worker knows those of its own clients, and a client's connection
//! never leaves its worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use super::http2::Sessions;
use crate::backend::server::{Endpoint, Server};
use crate::stream::Stream;

/// Idle connections of a client to all servers, and servers that it is bound to, at most: HAProxy's
/// `max-session-srv-conns`. The oldest makes room.
const MAX: usize = 5;

/// Connections of a client. Streams of an HTTP/2 connection share them; a client of HTTP/1 has memory for them only once
/// there are any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own(Option<Rc<RefCell<Belongings>>>);

#[derive(Debug, Default)]
struct Belongings {
    /// The one used last stands last.
    idle: Vec<Idle>,
    /// Servers that have authenticated a connection of this client's, or asked it to do that; the last one last.
    bound: Vec<Weak<Endpoint>>,
    /// Connections of HTTP/2, by server.
    sessions: Vec<(Weak<Endpoint>, u64, Sessions)>,
}

#[derive(Debug)]
struct Idle {
    server: Weak<Endpoint>,
    /// The version of the server's address that it leads to.
    address_version: u64,
    stream: Stream,
}

impl Own {
    /// Those of a client with several requests at a time.
    pub(crate) fn shared() -> Own {
        Own(Some(Rc::default()))
    }

    /// Whether all connections of the client to this server are its own.
    pub(crate) fn is_bound_to(&self, server: &Arc<Server>) -> bool {
        self.0.as_ref().is_some_and(|own| own.borrow().bound.iter().any(|bound| is(bound, server)))
    }

    /// From now on all connections of the client to this server are its own.
    pub(crate) fn bind(&mut self, server: &Arc<Server>) {
        if !self.is_bound_to(server) {
            let bound = &mut self.made().borrow_mut().bound;
            make_room(bound, |bound| bound.strong_count() > 0);
            bound.push(Arc::downgrade(server.endpoint()));
        }
    }

    /// Which of these servers the client was bound to last.
    pub(crate) fn bound_among(&self, servers: &[Arc<Server>]) -> Option<usize> {
        let own = self.0.as_ref()?.borrow();
        own.bound.iter().rev().find_map(|bound| servers.iter().position(|server| is(bound, server)))
    }

    /// Takes an idle connection to a server, of which the system says at this moment that it is open.
    pub(crate) fn take(&mut self, server: &Arc<Server>, address_version: u64) -> Option<Stream> {
        let idle = &mut self.0.as_ref()?.borrow_mut().idle;
        while let Some(at) = idle.iter().rposition(|idle| is(&idle.server, server)) {
            let taken = idle.remove(at);
            if taken.address_version == address_version && !taken.stream.has_news() && taken.stream.is_quiet()
            {
                return Some(taken.stream);
            }
        }
        None
    }

    /// Keeps a connection for the client's next request.
    pub(crate) fn put(&mut self, server: &Arc<Server>, address_version: u64, stream: Stream) {
        let idle = &mut self.made().borrow_mut().idle;
        make_room(idle, |idle| idle.server.strong_count() > 0);
        idle.push(Idle { server: Arc::downgrade(server.endpoint()), address_version, stream });
    }

    /// The client's connections of HTTP/2 to a server.
    pub(crate) fn sessions(&mut self, server: &Arc<Server>, address_version: u64) -> Sessions {
        let all = &mut self.made().borrow_mut().sessions;
        if let Some((_, _, sessions)) =
            all.iter().find(|(its, version, _)| is(its, server) && *version == address_version)
        {
            return sessions.clone();
        }
        make_room(all, |(its, ..)| its.strong_count() > 0 && !is(its, server));
        let sessions = Sessions::default();
        all.push((Arc::downgrade(server.endpoint()), address_version, sessions.clone()));
        sessions
    }

    fn made(&mut self) -> &Rc<RefCell<Belongings>> {
        self.0.get_or_insert_default()
    }
}

/// Whether it is this server. As long as the reference lives, no other can stand at its address in memory.
fn is(reference: &Weak<Endpoint>, server: &Server) -> bool {
    std::ptr::eq(reference.as_ptr(), Arc::as_ptr(server.endpoint()))
}

/// Lets go of what leads nowhere any more, and of the oldest where there is no room for another.
fn make_room<T>(all: &mut Vec<T>, leads_somewhere: impl Fn(&T) -> bool) {
    all.retain(leads_somewhere);
    if all.len() >= MAX {
        all.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::backend::fixtures;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Tcp(near), listener.accept().await.unwrap().0)
    }

    fn servers() -> Vec<Arc<Server>> {
        Server::all(&(0..8).map(|number| fixtures::server(&format!("s{number}"))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_connection_is_found_for_its_server_and_address_alone_the_one_used_last_first() {
        let (servers, mut own) = (servers(), Own::default());
        let mut far = Vec::new();
        for _ in 0..2 {
            let (near, kept) = pair().await;
            far.push(kept.local_addr().unwrap());
            own.put(&servers[0], 1, near);
            std::mem::forget(kept);
        }
        assert!(own.take(&servers[1], 1).is_none());
        let Some(Stream::Tcp(last)) = own.take(&servers[0], 1) else { panic!("there are two") };
        assert_eq!(last.peer_addr().unwrap(), far[1]);
        assert!(own.take(&servers[0], 2).is_none());
        assert!(own.take(&servers[0], 1).is_none(), "what leads to another address is closed");
    }

    #[tokio::test]
    async fn what_the_server_has_closed_is_not_given_out_and_no_more_are_kept_than_may_be() {
        let (servers, mut own) = (servers(), Own::shared());
        let (near, far) = pair().await;
        drop(far);
        own.put(&servers[0], 0, near);
        assert!(own.take(&servers[0], 0).is_none());
        let mut far = Vec::new();
        for server in servers.iter() {
            let (near, kept) = pair().await;
            far.push(kept);
            own.put(server, 0, near);
        }
        let kept = servers.iter().filter(|server| own.take(server, 0).is_some()).count();
        assert_eq!(kept, MAX);
    }

    #[test]
    fn a_client_is_bound_to_the_server_that_asked_it_last_and_to_those_before() {
        let (servers, mut own) = (servers(), Own::default());
        assert_eq!(own.bound_among(&servers), None);
        own.bind(&servers[1]);
        own.bind(&servers[2]);
        own.bind(&servers[1]);
        assert!(
            own.is_bound_to(&servers[1]) && own.is_bound_to(&servers[2]) && !own.is_bound_to(&servers[0])
        );
        assert_eq!(own.bound_among(&servers), Some(2));
        assert_eq!(own.bound_among(&servers[..2]), Some(1));
        servers.iter().for_each(|server| own.bind(server));
        assert!(!own.is_bound_to(&servers[0]) && own.is_bound_to(&servers[7]));
    }
}

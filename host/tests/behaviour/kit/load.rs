//! Clients that never rest: what goes wrong for any of them is kept.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::until;
use super::wire::{Socket, Wire};

/// How many requests a client sends before it connects again.
const REQUESTS_A_CONNECTION: usize = 10;

/// Clients that ask for `/` again and again, until [`Load::stop`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    served: AtomicUsize,
    /// How many answers came with which body.
    bodies: Mutex<BTreeMap<String, usize>>,
    failures: Mutex<Vec<String>>,
}

impl Load {
    pub(crate) fn start(address: &str, clients: usize) -> Load {
        let shared = Arc::new(Shared::default());
        let clients = (0..clients).map(|_| {
            let (shared, address) = (shared.clone(), address.to_owned());
            std::thread::spawn(move || {
                while !shared.stop.load(Relaxed) {
                    if let Err(failure) = shared.one_connection(&address) {
                        shared.failures.lock().expect("no panic").push(failure);
                    }
                }
            })
        });
        Load { clients: clients.collect(), shared }
    }

    /// Waits for so many answers more.
    #[track_caller]
    pub(crate) fn pass(&self, answers: usize) {
        let before = self.shared.served.load(Relaxed);
        until("enough requests are served", || {
            (self.shared.served.load(Relaxed) >= before + answers
                || !self.shared.failures.lock().expect("no panic").is_empty())
            .then_some(())
        });
    }

    /// How many answers of each body came since this was last asked.
    pub(crate) fn distribution(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.shared.bodies.lock().expect("no panic"))
    }

    /// Ends, and expects that not one request failed.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.shared.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().expect("no panic");
        }
        let failures = std::mem::take(&mut *self.shared.failures.lock().expect("no panic"));
        let served = self.shared.served.load(Relaxed);
        assert!(failures.is_empty(), "of {served}, {} failed, the first: {}", failures.len(), failures[0]);
    }
}

impl Shared {
    fn one_connection(&self, address: &str) -> Result<(), String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("no connection: {error}"))?;
        let mut wire = Wire::new(Socket::Tcp(stream));
        for _ in 0..REQUESTS_A_CONNECTION {
            if self.stop.load(Relaxed) {
                break;
            }
            wire.write("GET / HTTP/1.1\r\nhost: test\r\n\r\n")
                .map_err(|error| format!("no request: {error}"))?;
            let mut response = wire
                .head()
                .map_err(|error| format!("no answer: {error}"))?
                .ok_or_else(|| "no answer: the connection was closed".to_owned())?;
            wire.response_body(&mut response, false).map_err(|error| format!("no body: {error}"))?;
            if response.status() != 200 {
                return Err(format!("{}: {}", response.start, response.text()));
            }
            *self.bodies.lock().expect("no panic").entry(response.text()).or_default() += 1;
            self.served.fetch_add(1, Relaxed);
            if response.header("connection") == Some("close") {
                break;
            }
        }
        Ok(())
    }
}

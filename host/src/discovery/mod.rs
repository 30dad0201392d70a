//! Servers that come from elsewhere: a source (DNS, a file, Consul) is followed, and what it names fills the slots of a
//! backend. All of it runs on the control thread; workers see servers that come and go, and nothing else.
//!
//! Who stays keeps its slot, and with it its name, its state, what is under way there and its idle connections. A
//! source that cannot be asked changes nothing: the last known servers stay for as long as that lasts.

mod consul;
pub mod dns;
mod file;
mod follow;
mod hosts;
mod nameservers;
mod progress;
pub mod slots;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::config::model::discovery::{Source, Template};

pub use progress::{Progress, Snapshot};

/// After this time at the latest, a source that fails is asked again; a source without a TTL always is.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

/// The first pause after a failure. It doubles up to [`AGAIN`].
const BACKOFF: Duration = Duration::from_secs(1);

/// The most bytes of an answer or a file.
const MOST_BYTES: usize = 16 << 20;

/// A server that a source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: SocketAddr,
    /// Its share of the traffic, 0 to 256; `None`: that of the template.
    pub weight: Option<u32>,
    /// Whether it serves only where no other can.
    pub backup: bool,
}

/// What a source named.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The servers. None at all is an answer too.
    pub endpoints: Vec<Endpoint>,
    /// When to ask again.
    pub pause: Duration,
}

/// Why there is no answer to go by.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The source says that there is nothing by this name.
    Nothing(String),
    /// The source cannot be asked, or makes no sense.
    Outage(String),
}

/// A source that can be asked.
enum Asker {
    Addresses(Box<dns::Client>, String, u16),
    Services(Box<dns::Services>),
    File(file::Watched),
    Consul(consul::Client),
}

impl Asker {
    fn of(template: &Template) -> Asker {
        let client = || dns::Client::new(&template.resolution);
        match &template.source {
            Source::Addresses(name, port) => Asker::Addresses(Box::new(client()), name.clone(), *port),
            Source::Services(name) => Asker::Services(Box::new(dns::Services::new(client(), name))),
            Source::File(path, format) => Asker::File(file::Watched::new(path, *format)),
            Source::Consul(consul) => Asker::Consul(consul::Client::new(consul)),
        }
    }

    /// Asks. What has no TTL returns only when there is news.
    async fn ask(&mut self) -> Result<Found, Trouble> {
        match self {
            Asker::Addresses(client, name, port) => {
                let answer = client.addresses(name).await?;
                let endpoint = |ip| Endpoint { address: (ip, *port).into(), weight: None, backup: false };
                Ok(Found {
                    endpoints: answer.addresses.into_iter().map(endpoint).collect(),
                    pause: answer.valid,
                })
            }
            Asker::Services(services) => services.ask().await,
            Asker::File(file) => file.ask().await,
            Asker::Consul(consul) => consul.ask().await,
        }
    }
}

/// The sources of a configuration, while they are followed. They are left when this is dropped; the servers stay
/// where they are.
#[derive(Debug)]
pub struct Discovery {
    tasks: JoinSet<()>,
    /// Gets a permit for each source that has been asked once.
    tried: Arc<Semaphore>,
}

impl Discovery {
    /// Begins to follow the sources of some of these backends, on the runtime that this is called on.
    pub(crate) fn start_where(backends: &[Arc<Backend>], wanted: impl Fn(&Backend) -> bool) -> Discovery {
        let tried = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for backend in backends.iter().filter(|backend| wanted(backend)) {
            let Some(template) = &backend.config.template else { continue };
            let follower = follow::Follower::new(backend.clone(), template);
            tasks.spawn(follower.run(Asker::of(template), tried.clone()));
        }
        Discovery { tasks, tried }
    }

    /// Waits until each source has been asked once, whatever it said. That can take long, so that the caller sets a
    /// limit.
    pub async fn tried(&self) {
        // Refused only when the semaphore is closed, which nobody does.
        let _ = self.tried.acquire_many(self.tasks.len() as u32).await;
    }
}

/// How long to wait after so many failures in a row: give or take a tenth, by chance, so that nobody keeps step.
pub(crate) fn pause(failures: u32, chance: u64) -> Duration {
    let plain = match failures {
        0 => AGAIN,
        n => BACKOFF.saturating_mul(1 << (n - 1).min(16)).min(AGAIN),
    };
    plain.mul_f64(0.9 + 0.2 * (chance as f64 / u64::MAX as f64))
}

/// Reads bytes as those of a file and of Consul's answer, for what is fuzzed.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_any(bytes: &[u8], format: crate::config::model::discovery::FileFormat) {
    for read in [file::parse(bytes, format), consul::parse(bytes)] {
        if let Err(reason) = read {
            assert!(!reason.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ_by_a_tenth_either_way() {
        assert_eq!(pause(0, 0), AGAIN.mul_f64(0.9));
        assert_eq!(pause(0, u64::MAX), AGAIN.mul_f64(1.1));
        assert_eq!(pause(u32::MAX, 0), AGAIN.mul_f64(0.9));
        assert_eq!([1, 2, 3].map(|failures| pause(failures, 0).as_millis()), [900, 1_800, 3_600]);
    }
}

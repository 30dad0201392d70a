//! A live instance of a policy: its store, its exports, and the calls, each with its deadline.
//!
//! Whoever gets a [`Fault`] from a call drops the instance: after a trap it cannot be entered again.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;

use super::answers::{self, Affinity, Amendment, Key, Outcome, Reply};
use super::bindings::{self, balancer, feedback, persistence, setup};
use super::component::Policy;
use super::description::{Description, SettingValue};
use super::fault::Fault;
use super::imports::{Guest, Surroundings};
use super::settings::Settings;
use super::validate;
use super::voice::Voice;
use crate::backend::{Backend, Candidate};
use crate::config::model;
use crate::http::head::{RequestHead, ResponseHead};

/// Processor time for a call that a request waits for.
pub const REQUEST_BUDGET: Duration = Duration::from_millis(10);
/// Processor time for `update`, which a request waits for now and then.
pub const UPDATE_BUDGET: Duration = Duration::from_millis(100);
/// Processor time for what is done off the data path.
pub const SETUP_BUDGET: Duration = Duration::from_secs(1);
/// What a guest may hand to the host in one call, in bytes: more than any answer needs, and little enough to
/// hold for each worker.
const ANSWER_BYTES: usize = 1 << 20;

/// A request for which a candidate is to be picked.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The number of the pick in its backend.
    pub sequence: u64,
    /// When the request arrived: milliseconds since 1970, UTC.
    pub time_ms: u64,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// On a retry, who failed last: an index into the candidates.
    pub failed: Option<u32>,
}

pub(super) struct Instance {
    store: Store<Guest>,
    setup: setup::Guest,
    balancer: Option<balancer::Guest>,
    persistence: Option<persistence::Guest>,
    feedback: Option<feedback::Guest>,
    /// The candidates of the last `update`, by which its answers are to be read.
    candidates: Option<Arc<[Candidate]>>,
}

/// Why there is no instance.
#[derive(Debug)]
pub(super) enum StartError {
    Fault(Fault),
    /// An export is not of the type that it should be.
    Mismatch(String),
}

/// What `configure` had against the settings.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) setting: Option<String>,
    pub(super) message: String,
}

impl Instance {
    pub(super) fn new(
        policy: &Policy,
        backend: Option<Arc<Backend>>,
        voice: Arc<Voice>,
    ) -> Result<Instance, StartError> {
        Instance::of(policy, Guest::new(backend, policy.ticker.pulse(), voice))
    }

    /// An instance with a simulation around it instead of a backend.
    pub(super) fn simulated(
        policy: &Policy,
        surroundings: Surroundings,
        voice: Arc<Voice>,
    ) -> Result<Instance, StartError> {
        let guest = Guest::new(None, policy.ticker.pulse(), voice);
        Instance::of(policy, Guest { simulated: Some(surroundings), ..guest })
    }

    fn of(policy: &Policy, guest: Guest) -> Result<Instance, StartError> {
        let mut store = Store::new(policy.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().watch.look()));
        store.set_hostcall_fuel(ANSWER_BYTES);
        begin(&mut store, SETUP_BUDGET);
        let instance = policy
            .pre
            .instantiate(&mut store)
            .map_err(|error| StartError::Fault(Fault::of_start(&error, store.data().limits.denied)))?;
        let mismatch = |error: wasmtime::Error| StartError::Mismatch(format!("{error:#}"));
        Ok(Instance {
            setup: policy.setup.load(&mut store, &instance).map_err(mismatch)?,
            balancer: match &policy.balancer {
                Some(indices) => Some(indices.load(&mut store, &instance).map_err(mismatch)?),
                None => None,
            },
            persistence: match &policy.persistence {
                Some(indices) => Some(indices.load(&mut store, &instance).map_err(mismatch)?),
                None => None,
            },
            feedback: match &policy.feedback {
                Some(indices) => Some(indices.load(&mut store, &instance).map_err(mismatch)?),
                None => None,
            },
            store,
            candidates: None,
        })
    }

    pub(super) fn describe(&mut self) -> Result<Description, Fault> {
        begin(&mut self.store, SETUP_BUDGET);
        let answer = self.setup.call_describe(&mut self.store);
        Ok(self.end(answer)?.into())
    }

    /// Hands over the settings and the servers of a backend, for which the instance decides from now on.
    pub(super) fn configure(
        &mut self,
        settings: &Settings,
        backend: &Arc<Backend>,
    ) -> Result<Result<(), Refusal>, Fault> {
        self.store.data_mut().backend = Some(backend.clone());
        self.hand_over(settings, &backend.config.servers)
    }

    /// Hands over the settings and servers, of which nothing more than that is to be known.
    pub(super) fn hand_over(
        &mut self,
        settings: &Settings,
        servers: &[model::Server],
    ) -> Result<Result<(), Refusal>, Fault> {
        let texts: Vec<Vec<&str>> = settings
            .iter()
            .map(|(_, value)| match value {
                SettingValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            })
            .collect();
        let values: Vec<(&str, setup::ValueParam<'_>)> =
            settings.iter().zip(&texts).map(|((name, value), texts)| (name, lowered(value, texts))).collect();
        let addresses: Vec<String> = servers.iter().map(|server| address(&server.address)).collect();
        let labels: Vec<Vec<(&str, &str)>> = servers
            .iter()
            .map(|server| server.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect())
            .collect();
        let servers: Vec<setup::Server<'_>> = servers
            .iter()
            .zip(&addresses)
            .zip(&labels)
            .map(|((server, address), labels)| setup::Server {
                name: &server.name,
                address,
                weight: server.weight,
                cookie: server.cookie.as_deref(),
                labels,
            })
            .collect();
        begin(&mut self.store, SETUP_BUDGET);
        let answer = self.setup.call_configure(&mut self.store, &values, &servers);
        let answer = self.end(answer)?;
        Ok(answer.map_err(Refusal::from))
    }

    /// Whether it was told these candidates last. It is the list itself that counts, not what it holds: workers
    /// that share an instance may see a change at different times.
    pub(super) fn knows(&self, candidates: &Arc<[Candidate]>) -> bool {
        self.candidates.as_ref().is_some_and(|known| Arc::ptr_eq(known, candidates))
    }

    /// Whether it was never told any candidates.
    pub(super) fn is_fresh(&self) -> bool {
        self.candidates.is_none()
    }

    /// Tells the instance the candidates. For an instance that balances.
    pub(super) fn update(&mut self, candidates: &Arc<[Candidate]>) -> Result<(), Fault> {
        let Some(balancer) = &self.balancer else { return Ok(()) };
        let guest = self.store.data_mut();
        if let Some(backend) = &guest.backend {
            let servers = candidates.iter().filter_map(|c| backend.servers.get(c.server as usize));
            guest.loads = servers.map(|server| &server.in_flight).collect();
        } else if let Some(surroundings) = &guest.simulated {
            guest.loads = surroundings.loads.loads(candidates.iter().map(|c| c.server as usize));
        }
        let list: Vec<balancer::Candidate> =
            candidates.iter().map(|c| balancer::Candidate { server: c.server, weight: c.weight }).collect();
        begin(&mut self.store, UPDATE_BUDGET);
        let answer = balancer.call_update(&mut self.store, &list);
        self.end(answer)?;
        self.candidates = Some(candidates.clone());
        Ok(())
    }

    /// Moves the clock of an instance that is simulated.
    pub(super) fn set_time(&mut self, time_ns: u64) {
        if let Some(surroundings) = &mut self.store.data_mut().simulated {
            surroundings.time_ns = time_ns;
        }
    }

    /// Asks for a candidate, by its index in the last `update`.
    pub(super) fn pick(
        &mut self,
        request: &Arc<RequestHead>,
        arrival: Arrival,
    ) -> Result<Option<u32>, Fault> {
        let Some(balancer) = &self.balancer else { return Ok(None) };
        begin(&mut self.store, REQUEST_BUDGET);
        let guest = self.store.data_mut();
        guest.request = Some(request.clone());
        guest.picking = true;
        let answer = balancer.call_pick(
            &mut self.store,
            balancer::Arrival {
                sequence: arrival.sequence,
                time_ms: arrival.time_ms,
                client: bindings::address(arrival.client),
                failed: arrival.failed,
            },
        );
        let guest = self.store.data_mut();
        guest.request = None;
        guest.picking = false;
        let answer = self.end(answer)?;
        validate::pick(answer, self.store.data().loads.len())?;
        Ok(answer)
    }

    pub(super) fn place(&mut self) -> Result<Option<Key>, Fault> {
        let Some(persistence) = &self.persistence else { return Ok(None) };
        begin(&mut self.store, SETUP_BUDGET);
        let answer = persistence.call_place(&mut self.store);
        let key = Key::from(self.end(answer)?);
        validate::key(&key)?;
        Ok(Some(key))
    }

    /// Asks whom a key's value names, and for how many milliseconds the answer holds for visits with that value.
    pub(super) fn recall(
        &mut self,
        request: &Arc<RequestHead>,
        key: &Key,
        visit: persistence::Visit<'_>,
    ) -> Result<(Affinity, u32), Fault> {
        let Some(persistence) = &self.persistence else { return Ok((Affinity::default(), u32::MAX)) };
        begin(&mut self.store, REQUEST_BUDGET);
        self.store.data_mut().request = Some(request.clone());
        let answer = persistence.call_recall(&mut self.store, visit);
        self.store.data_mut().request = None;
        let answer = self.end(answer)?;
        let affinity = Affinity {
            server: answer.server,
            standing: answer.standing.into(),
            key: answer.key.into(),
            note: answer.note,
        };
        validate::affinity(&affinity, key, self.servers())?;
        Ok((affinity, answer.reusable_ms))
    }

    /// Asks for a response's changes, and for how many milliseconds they hold for replies like this.
    pub(super) fn respond(
        &mut self,
        request: &Arc<RequestHead>,
        response: &Arc<ResponseHead>,
        key: &Key,
        reply: &Reply<'_>,
    ) -> Result<(Amendment, u32), Fault> {
        let Some(persistence) = &self.persistence else { return Ok((Amendment::default(), u32::MAX)) };
        let sent = reply.sent.map(String::from_utf8_lossy);
        begin(&mut self.store, REQUEST_BUDGET);
        let guest = self.store.data_mut();
        guest.request = Some(request.clone());
        guest.response = Some(response.clone());
        let answer = persistence.call_respond(
            &mut self.store,
            persistence::Reply {
                server: reply.server,
                standing: reply.standing.into(),
                note: reply.note,
                cacheable: reply.cacheable,
                sent: sent.as_deref(),
                time_ms: reply.time_ms,
            },
        );
        let guest = self.store.data_mut();
        guest.request = None;
        guest.response = None;
        let answer = self.end(answer)?;
        let amendment = Amendment {
            key: answer.key.into(),
            headers: answer.headers.into_iter().map(answers::HeaderEdit::from).collect(),
        };
        validate::amendment(&amendment, key)?;
        Ok((amendment, answer.reusable_ms))
    }

    pub(super) fn observe(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        let Some(feedback) = &self.feedback else { return Ok(()) };
        begin(&mut self.store, REQUEST_BUDGET);
        let answer = feedback.call_observe(&mut self.store, outcome.into());
        self.end(answer)
    }

    /// What it holds in memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes()
    }

    fn servers(&self) -> usize {
        self.store.data().backend.as_ref().map_or(0, |backend| backend.servers.len())
    }

    fn end<T>(&self, answer: wasmtime::Result<T>) -> Result<T, Fault> {
        answer.map_err(|error| Fault::of(&error, self.store.data().limits.denied))
    }
}

/// Starts the watch for a call.
fn begin(store: &mut Store<Guest>, budget: Duration) {
    let guest = store.data_mut();
    guest.watch.budget = budget;
    guest.watch.since = None;
    guest.watch.pulse.beat();
    guest.limits.denied = false;
    store.set_epoch_deadline(1);
}

fn address(address: &model::ServerAddress) -> String {
    match address {
        model::ServerAddress::Ip(address) => address.to_string(),
        model::ServerAddress::Name(name, port) => format!("{name}:{port}"),
        model::ServerAddress::Unix(path) => format!("unix@{}", path.display()),
        model::ServerAddress::Slot(source) => source.to_string(),
    }
}

fn lowered<'a>(value: &'a SettingValue, texts: &'a [&'a str]) -> setup::ValueParam<'a> {
    match value {
        SettingValue::Text(text) => setup::ValueParam::Text(text),
        SettingValue::Integer(integer) => setup::ValueParam::Integer(*integer),
        SettingValue::Number(number) => setup::ValueParam::Number(*number),
        SettingValue::Boolean(boolean) => setup::ValueParam::Boolean(*boolean),
        SettingValue::Texts(_) => setup::ValueParam::Texts(texts),
    }
}

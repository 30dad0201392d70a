//! Runs a policy natively, as the host would: for its author's tests.
//!
//! A [`Scene`] has one instance of a policy, servers with their loads and health, a clock and the backend's
//! sequence number. All of it stands still until a test moves it, so that a test says the same every time.

use std::{
    net::{IpAddr, Ipv4Addr},
    vec::Vec,
};

use crate::{
    Affinity, Amendment, Arrival, Balancer, Candidate, Feedback, IpAddress, Key, KeyEdit, Outcome,
    Persistence, Policy, Refusal, Reply, Server, Settings, Standing, Value, Verdict, Visit, log::Level,
    random::Random,
};
pub use request::Request;
use world::World;

mod request;
pub(crate) mod world;

/// When a scene begins: milliseconds since 1970, UTC.
pub const START_MS: u64 = 1_700_000_000_000;

/// Servers of these weights: `s0`, `s1` … at `192.0.2.1:80` and on, each with its name as its `cookie` value.
pub fn servers(weights: &[u32]) -> Vec<Server> {
    let server = |(number, weight): (u32, &u32)| {
        let name = format!("s{number}");
        let address = format!("{}:80", Ipv4Addr::from(0xc000_0201 + number));
        Server { cookie: Some(name.clone()), name, address, weight: *weight, labels: Vec::new() }
    };
    (0..).zip(weights).map(server).collect()
}

/// Requests without end, from clients and for paths at random, the same for the same seed.
pub fn requests(seed: u64) -> impl Iterator<Item = Request> {
    let mut random = Random::new(seed);
    core::iter::repeat_with(move || {
        let client = Ipv4Addr::from(random.next_u64() as u32);
        Request::get(&format!("/{:x}/{:x}", random.below(1_000), random.next_u64())).from(client)
    })
}

/// A policy and what is about it.
#[derive(Debug)]
pub struct Scene<P> {
    policy: P,
    servers: Vec<State>,
    candidates: Vec<Candidate>,
    /// Whether the candidates are to be handed over anew.
    changed: bool,
    sequence: u64,
    time_ms: u64,
    response: (u16, Vec<(String, String)>),
    log: Vec<(Level, String)>,
}

#[derive(Debug)]
struct State {
    up: bool,
    weight: u32,
    load: u32,
}

impl<P: Policy> Scene<P> {
    /// Configures a policy with servers, all of them up, and with settings, held against its description as the
    /// host holds them.
    ///
    /// # Errors
    /// A refusal of the policy; or what the host would have refused: a setting that the policy does not have, of
    /// another kind, of none of its choices, or missing.
    pub fn new(servers: Vec<Server>, settings: &[(&str, Value)]) -> Result<Self, Refusal> {
        let states = states(&servers);
        let settings = complete::<P>(settings)?;
        let (policy, log) = world::during(World::default(), || P::configure(settings, servers));
        let candidates = Vec::new();
        Ok(Self {
            policy: policy?,
            servers: states,
            candidates,
            changed: true,
            sequence: 0,
            time_ms: START_MS,
            response: (200, Vec::new()),
            log,
        })
    }

    /// Hands over other servers, all of them up, and other settings.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn reconfigure(&mut self, servers: Vec<Server>, settings: &[(&str, Value)]) -> Result<(), Refusal> {
        let states = states(&servers);
        let settings = complete::<P>(settings)?;
        self.call(World::default(), |policy| policy.reconfigure(settings, servers))?;
        (self.servers, self.changed) = (states, true);
        Ok(())
    }

    /// The policy itself.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// What the policy has logged.
    pub fn log(&self) -> &[(Level, String)] {
        &self.log
    }

    /// Says how many requests a server has in flight.
    pub fn load(&mut self, server: u32, requests: u32) {
        self.servers[server as usize].load = requests;
    }

    /// Lets a server go down.
    pub fn down(&mut self, server: u32) {
        (self.servers[server as usize].up, self.changed) = (false, true);
    }

    /// Lets a server come back.
    pub fn up(&mut self, server: u32) {
        (self.servers[server as usize].up, self.changed) = (true, true);
    }

    /// Gives a server another weight; with 0 it serves only those who are bound to it.
    pub fn weight(&mut self, server: u32, weight: u32) {
        (self.servers[server as usize].weight, self.changed) = (weight, true);
    }

    /// Moves the clock.
    pub fn advance_ms(&mut self, ms: u64) {
        self.time_ms += ms;
    }

    /// Gives the next pick this sequence number; each pick counts it on by one.
    pub fn sequence(&mut self, next: u64) {
        self.sequence = next;
    }

    fn call<R>(&mut self, world: World, call: impl FnOnce(&mut P) -> R) -> R {
        let (result, log) = world::during(world, || call(&mut self.policy));
        self.log.extend(log);
        result
    }
}

impl<P: Balancer> Scene<P> {
    /// The server that gets a request; `None` where the policy passes, and where there is no candidate.
    pub fn pick(&mut self, request: &Request) -> Option<u32> {
        self.pick_after(request, None)
    }

    /// The server that gets the request after another attempt of it has failed at server `failed`.
    pub fn retry(&mut self, request: &Request, failed: u32) -> Option<u32> {
        self.pick_after(request, Some(failed))
    }

    /// How many of these requests each server gets.
    pub fn shares(&mut self, requests: impl Iterator<Item = Request>) -> Vec<usize> {
        let mut shares = vec![0; self.servers.len()];
        for request in requests {
            if let Some(server) = self.pick(&request) {
                shares[server as usize] += 1;
            }
        }
        shares
    }

    fn pick_after(&mut self, request: &Request, failed: Option<u32>) -> Option<u32> {
        if core::mem::take(&mut self.changed) {
            let states = (0..).zip(&self.servers).filter(|(_, state)| state.up && state.weight > 0);
            self.candidates =
                states.map(|(server, state)| Candidate { server, weight: state.weight }).collect();
            let candidates = self.candidates.clone();
            if !candidates.is_empty() {
                self.call(World::default(), |policy| policy.update(candidates));
            }
        }
        if self.candidates.is_empty() {
            return None;
        }
        let failed = failed
            .and_then(|failed| self.candidates.iter().position(|candidate| candidate.server == failed))
            .map(|position| position as u32);
        let arrival = Arrival {
            sequence: self.sequence,
            time_ms: self.time_ms,
            client: address(request.client),
            failed,
        };
        self.sequence += 1;
        let loads =
            self.candidates.iter().map(|candidate| self.servers[candidate.server as usize].load).collect();
        let world = World { request: Some(request.clone()), loads, ..World::default() };
        let pick = self.call(world, |policy| policy.pick(arrival))?;
        let candidate = self.candidates.get(pick as usize);
        Some(candidate.unwrap_or_else(|| panic!("the policy picked {pick}, out of range")).server)
    }
}

impl<P: Feedback> Scene<P> {
    /// Lets an attempt at a server end now, with an answer of this status whose head took so many microseconds.
    pub fn answered(&mut self, server: u32, status: u16, latency_us: u64) {
        self.observe(server, Verdict::Answered, status, latency_us);
    }

    /// Lets an attempt at a server fail now, after so many microseconds.
    pub fn failed(&mut self, server: u32, verdict: Verdict, latency_us: u64) {
        self.observe(server, verdict, 0, latency_us);
    }

    fn observe(&mut self, server: u32, verdict: Verdict, status: u16, latency_us: u64) {
        let (time_ms, connect_us, bytes) = (self.time_ms, 0, 0);
        let outcome = Outcome { server, verdict, status, connect_us, latency_us, bytes, time_ms };
        self.call(World::default(), |policy| policy.observe(outcome));
    }
}

impl<P: Persistence> Scene<P> {
    /// What becomes of a request's key; `None` where it carries none.
    pub fn recall(&mut self, request: &Request) -> Option<Affinity> {
        let values = match self.call(World::default(), |policy| policy.place()) {
            Key::Cookie(name) => request.cookies(&name),
            Key::Header(name) => request.header_value(&name).into_iter().collect(),
            Key::Query(name) => request.parameter(&name).into_iter().collect(),
        };
        let mut last = None;
        for value in values {
            let visit = Visit { value, time_ms: self.time_ms, client: address(request.client) };
            let world = self.serving(request);
            let mut affinity = self.call(world, |policy| policy.recall(visit));
            if affinity.server.is_some_and(|server| !self.is_up(server)) {
                (affinity.server, affinity.standing) = (None, Standing::Down);
            }
            if affinity.server.is_some() {
                return Some(affinity);
            }
            last = Some(affinity);
        }
        last
    }

    /// Gives the responses to come this status and these headers; before, it is 200 and there are none.
    pub fn response(&mut self, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.response = (status, headers.collect());
    }

    /// What changes in a cacheable response of `server` to `request`, after what became of its key.
    pub fn respond(&mut self, request: &Request, server: u32, recalled: Option<&Affinity>) -> Amendment {
        let standing = match recalled {
            None => Standing::Absent,
            Some(affinity) if affinity.server.is_some_and(|other| other != server) => Standing::Down,
            Some(affinity) => affinity.standing,
        };
        let note = recalled.map_or(0, |affinity| affinity.note);
        let reply = Reply { server, standing, note, cacheable: true, sent: None, time_ms: self.time_ms };
        self.respond_to(request, reply)
    }

    /// What changes in a response of any kind.
    pub fn respond_to(&mut self, request: &Request, reply: Reply) -> Amendment {
        let world = World { response: Some(self.response.clone()), ..self.serving(request) };
        let amendment = self.call(world, |policy| policy.respond(reply.clone()));
        assert!(reply.sent.is_some() || amendment.key == KeyEdit::Keep, "there is no key to edit");
        amendment
    }

    fn serving(&self, request: &Request) -> World {
        let usable = self.servers.iter().map(|state| state.up).collect();
        World { request: Some(request.clone()), usable, ..World::default() }
    }

    fn is_up(&self, server: u32) -> bool {
        self.servers.get(server as usize).is_some_and(|state| state.up)
    }
}

fn states(servers: &[Server]) -> Vec<State> {
    servers.iter().map(|server| State { up: true, weight: server.weight, load: 0 }).collect()
}

fn address(client: IpAddr) -> IpAddress {
    match client.to_canonical() {
        IpAddr::V4(ip) => IpAddress::Ipv4(ip.octets().into()),
        IpAddr::V6(ip) => IpAddress::Ipv6(ip.segments().into()),
    }
}

/// The settings with defaults, as far as they are what the policy takes.
fn complete<P: Policy>(given: &[(&str, Value)]) -> Result<Settings, Refusal> {
    use crate::Kind::{Boolean, Duration, Integer, Number, Text, Texts};
    let description = P::describe();
    for (name, value) in given {
        let Some(setting) = description.settings.iter().find(|setting| setting.name == *name) else {
            return Err(Refusal::of(name, "not a setting of the policy"));
        };
        let (fits, texts) = match value {
            Value::Text(text) => (setting.kind == Text, core::slice::from_ref(text)),
            Value::Texts(texts) => (setting.kind == Texts, texts.as_slice()),
            Value::Integer(_) => (matches!(setting.kind, Integer | Duration), [].as_slice()),
            Value::Number(_) => (setting.kind == Number, [].as_slice()),
            Value::Boolean(_) => (setting.kind == Boolean, [].as_slice()),
        };
        let chosen = setting.choices.is_empty() || texts.iter().all(|text| setting.choices.contains(text));
        if !fits || !chosen {
            return Err(Refusal::of(name, format!("not a value of this setting: {value:?}")));
        }
    }
    let mut values = Vec::new();
    for setting in description.settings {
        let value = given.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| value.clone());
        match value.or(setting.default) {
            Some(value) => values.push((setting.name, value)),
            None if setting.required => return Err(Refusal::of(&setting.name, "has to be given")),
            None => {}
        }
    }
    Ok(Settings::new(values))
}

#[cfg(test)]
mod tests;

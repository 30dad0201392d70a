//! What policies cost, in nanoseconds a call on this machine, side by side: `lb policy bench` and the benchmark of the
//! built-in ones.
//!
//! Machines change their speed from one moment to the next, so policies take turns, batch by batch, and only figures of
//! one run are to be compared. What a request waits for is called the way that requests call it.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::backend::{Backend, Candidate};
use crate::config::model::{self, Instances, PolicySource, PolicySpec, RawSetting, RawValue};
use crate::conformance::{self, key_set};
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::parse;
use crate::policy::{
    self, Balancer, LoadError, Outcome, Persistence, Policy, Probe, Problem, Reply, Runtime, Settings,
    Standing, Verdict,
};

/// Batches of a kind of call, where nothing else is said.
pub const ROUNDS: usize = 400;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NOW: u64 = 1_700_000_000_000;
const REPLY: Reply<'static> =
    Reply { server: 1, standing: Standing::Absent, note: 0, cacheable: true, sent: None, time_ms: NOW };

/// A policy to be measured.
pub struct Subject {
    /// What the table calls it.
    pub name: String,
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its settings.
    pub settings: Vec<RawSetting>,
}

/// The built-in policies, with the settings that most use.
///
/// # Errors
/// When one does not load.
pub fn built_ins(runtime: &Runtime) -> Result<Vec<Subject>, LoadError> {
    let subject = |name: &'static str| {
        let policy = runtime.load(&PolicySource::BuiltIn(name.to_owned()))?;
        Ok(Subject { name: name.to_owned(), policy, settings: usual_settings(name) })
    };
    policy::built_ins().map(subject).collect()
}

/// What a built-in policy cannot do without, and what most say beside it.
pub fn usual_settings(name: &str) -> Vec<RawSetting> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let settings = match name {
        "cookie" => {
            let flags = ["insert", "indirect", "nocache"].map(|name| (name, RawValue::Boolean(true)));
            [("name", text("SERVER"))].into_iter().chain(flags).collect()
        }
        "first" => vec![("maxconn", RawValue::Integer(100))],
        "hash" | "maglev" => vec![("key", text("client"))],
        "hash-cookie" => vec![("name", text("SERVER")), ("secret", text("0123456789abcdef0123456789abcdef"))],
        "header" => vec![("name", text("x-session"))],
        _ => Vec::new(),
    };
    let setting =
        |(name, value): (&str, _)| RawSetting { name: name.into(), name_span: 0..0, value, value_span: 0..0 };
    settings.into_iter().map(setting).collect()
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pick,
    Observe,
    Recall,
    RecallReused,
    Respond,
    RespondReused,
    Update,
    Configure,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Pick,
        Kind::Observe,
        Kind::Recall,
        Kind::RecallReused,
        Kind::Respond,
        Kind::RespondReused,
        Kind::Update,
        Kind::Configure,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Pick => "pick",
            Kind::Observe => "observe",
            Kind::Recall => "recall",
            Kind::RecallReused => "recall, reused",
            Kind::Respond => "respond",
            Kind::RespondReused => "respond, reused",
            Kind::Update => "update",
            Kind::Configure => "configure",
        }
    }

    fn is_of(self, policy: &Policy) -> bool {
        match self {
            Kind::Pick | Kind::Update => policy.is_balancer(),
            Kind::Observe => policy.wants_feedback(),
            Kind::Recall | Kind::RecallReused | Kind::Respond | Kind::RespondReused => {
                policy.is_persistence()
            }
            Kind::Configure => true,
        }
    }

    /// Calls in a batch, of which one is too short for a clock; and one how many rounds there is a batch.
    fn batch(self) -> (usize, usize) {
        match self {
            Kind::Update => (8, 4),
            Kind::Configure => (1, 8),
            _ => (32, 1),
        }
    }
}

/// What calls of a kind took: the median of batches, and between what four of five were.
#[derive(Debug, Clone)]
pub struct Row {
    /// With how many servers.
    pub servers: usize,
    /// Which call.
    pub call: &'static str,
    /// Which policy.
    pub subject: String,
    /// The median.
    pub median_ns: u64,
    /// A tenth took less.
    pub low_ns: u64,
    /// A tenth took more.
    pub high_ns: u64,
}

impl Row {
    fn of(servers: usize, call: &'static str, subject: &str, mut batches: Vec<u64>) -> Row {
        batches.sort_unstable();
        Row {
            servers,
            call,
            subject: subject.to_owned(),
            median_ns: batches[batches.len() / 2],
            low_ns: batches[batches.len() / 10],
            high_ns: batches[batches.len() * 9 / 10],
        }
    }
}

/// Measures policies side by side, with so many servers each time.
///
/// # Errors
/// When a policy does not start, or fails.
pub fn run(
    runtime: &Runtime,
    subjects: &[Subject],
    servers: &[usize],
    rounds: usize,
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for servers in servers.iter().copied() {
        let stands = subjects.iter().map(|subject| Stand::new(runtime, subject, servers));
        let mut stands = stands.collect::<Result<Vec<_>, _>>()?;
        for kind in Kind::ALL {
            let mut batches: Vec<Vec<u64>> = vec![Vec::new(); stands.len()];
            for _ in 0..rounds.div_ceil(kind.batch().1).max(5) {
                for (stand, batches) in stands.iter_mut().zip(&mut batches) {
                    if kind.is_of(&stand.policy) {
                        batches.push(stand.batch(kind)?);
                    }
                }
            }
            for (stand, batches) in stands.iter().zip(batches).filter(|(_, batches)| !batches.is_empty()) {
                rows.push(Row::of(servers, kind.name(), &stand.name, batches));
            }
        }
        for stand in &stands {
            stand.had_no_fault()?;
        }
    }
    Ok(rows)
}

/// A policy, ready to be called in every way.
struct Stand {
    name: String,
    policy: Arc<Policy>,
    settings: Settings,
    backend: Arc<Backend>,
    policies: policy::BackendPolicies,
    probe: Probe,
    balancer: Balancer,
    persistence: Option<Persistence>,
    lists: [Arc<[Candidate]>; 2],
    /// A key's value that names a server.
    value: String,
    request: Arc<RequestHead>,
    response: Arc<ResponseHead>,
    turn: usize,
}

impl Stand {
    fn new(runtime: &Runtime, subject: &Subject, servers: usize) -> Result<Stand, String> {
        let policy = subject.policy.clone();
        let spec = PolicySpec {
            source: PolicySource::BuiltIn(subject.name.clone()),
            instances: Instances::PerWorker,
            settings: subject.settings.clone(),
            span: 0..0,
        };
        let words =
            |problems: Vec<Problem>| problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ");
        let settings = policy::check(policy.description(), &spec).map_err(words)?;
        let backend = conformance::backend_of(conformance::servers(servers));
        let config = model::Backend {
            balance: policy.is_balancer().then(|| spec.clone()).into_iter().collect(),
            persistence: policy.is_persistence().then(|| spec.clone()),
            ..backend.config.clone()
        };
        let policies = runtime.prove_with(&config, |_| Ok(policy.clone())).map_err(words)?.open(&backend);
        let probe = Probe::start(&policy, &settings, &backend).map_err(|why| format!("it {why}"))?;
        let mut probe = probe.untimed();
        let list = backend.candidates();
        probe.update(&list).map_err(|fault| format!("it {fault}"))?;
        let mut request = RequestHead::default();
        parse::request(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 100, &mut request).map_err(|_| "no request")?;
        let mut stand = Stand {
            name: subject.name.clone(),
            settings,
            balancer: policies.balancer(),
            persistence: policies.persistence(),
            // Candidates are told anew where the list is another, whatever it holds.
            lists: [list.to_vec().into(), list],
            value: String::new(),
            request: Arc::new(request),
            response: Arc::default(),
            turn: 0,
            policy,
            backend,
            policies,
            probe,
        };
        stand.value = stand.known_value(servers as u32)?;
        Ok(stand)
    }

    /// A value that `recall` knows, as `respond` gives it out; or one that it may not know.
    fn known_value(&mut self, servers: u32) -> Result<String, String> {
        let server = REPLY.server.min(servers - 1);
        let reply = Reply { server, ..REPLY };
        let (amendment, _) = self
            .probe
            .respond(&self.request, &self.response, &reply)
            .map_err(|fault| format!("it {fault}"))?;
        let value = self.probe.key().and_then(|key| key_set(&amendment, key));
        Ok(value.map_or_else(|| format!("c{server}"), str::to_owned))
    }

    /// Nanoseconds a call.
    fn batch(&mut self, kind: Kind) -> Result<u64, String> {
        let (calls, _) = kind.batch();
        let start = Instant::now();
        for _ in 0..calls {
            self.call(kind).map_err(|why| format!("it {why}"))?;
        }
        Ok(start.elapsed().as_nanos() as u64 / calls as u64)
    }

    fn call(&mut self, kind: Kind) -> Result<(), policy::NotStarted> {
        self.turn += 1;
        let fault = policy::NotStarted::Fault;
        let server = REPLY.server.min(self.backend.servers.len() as u32 - 1);
        match kind {
            Kind::Pick => drop(black_box(self.balancer.pick(&self.request, CLIENT, NOW, None))),
            Kind::Observe => self.balancer.observe(&Outcome {
                server,
                verdict: Verdict::Answered,
                status: 200,
                connect_us: 0,
                latency_us: 1_000 + self.turn as u64 % 100,
                bytes: 1_000,
                time_ms: NOW + self.turn as u64 / 10,
            }),
            Kind::Recall => {
                let recalled = self.probe.recall(&self.request, &self.value, CLIENT, NOW);
                drop(black_box(recalled.map_err(fault)?));
            }
            Kind::RecallReused => {
                if let Some(persistence) = &mut self.persistence {
                    drop(black_box(persistence.recall(&self.request, self.value.as_bytes(), CLIENT, NOW)));
                }
            }
            Kind::Respond => {
                let reply = Reply { server, ..REPLY };
                drop(black_box(self.probe.respond(&self.request, &self.response, &reply).map_err(fault)?));
            }
            Kind::RespondReused => {
                if let Some(persistence) = &mut self.persistence {
                    let reply = Reply { server, ..REPLY };
                    drop(black_box(persistence.respond(&self.request, &self.response, reply)));
                }
            }
            Kind::Update => self.probe.update(&self.lists[self.turn % 2]).map_err(fault)?,
            Kind::Configure => self.probe.configure(&self.settings, &self.backend)?,
        }
        Ok(())
    }

    /// What is measured of a policy that fails is the host.
    fn had_no_fault(&self) -> Result<(), String> {
        let faults: u64 = self.policies.metrics(NOW).iter().map(policy::Metrics::faults).sum();
        if faults == 0 { Ok(()) } else { Err(format!("{} failed {faults} times on the way", self.name)) }
    }
}

/// For people.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.subject.len()).max().unwrap_or(0).clamp(12, 40);
    let mut out = format!(
        "{:>7}  {:16} {:width$} {:>10} {:>10} {:>10}   ns a call: four of five batches lie between\n",
        "servers", "call", "policy", "median", "from", "to"
    );
    for row in rows {
        let Row { servers, call, subject, median_ns, low_ns, high_ns } = row;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{servers:>7}  {call:16} {subject:width$} {median_ns:>10} {low_ns:>10} {high_ns:>10}"
        );
    }
    out
}

/// For tools.
pub(crate) fn json(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        json!({
            "servers": row.servers,
            "call": row.call,
            "policy": row.subject,
            "median_ns": row.median_ns,
            "p10_ns": row.low_ns,
            "p90_ns": row.high_ns,
        })
    };
    rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_every_policy_is_measured() {
        let runtime = Runtime::new(None).expect("WebAssembly runs here");
        let subjects = built_ins(&runtime).expect("they load");
        let rows = run(&runtime, &subjects, &[1, 3], 5).expect("nothing fails");
        let calls = |subject: &str| {
            let of = rows.iter().filter(|row| row.subject == subject && row.servers == 3);
            of.map(|row| row.call).collect::<Vec<_>>()
        };
        assert_eq!(calls("roundrobin"), ["pick", "update", "configure"]);
        assert_eq!(calls("cookie"), ["recall", "recall, reused", "respond", "respond, reused", "configure"]);
        assert!(rows.iter().all(|row| row.median_ns > 0 && row.low_ns <= row.median_ns));
        assert!(table(&rows).contains("roundrobin"));
    }
}

//! Limits: how many requests and connections are let in for each client, or whatever else tells them apart.
//!
//! All workers share one state, and each decision is one compare-and-swap on it, so a limit is exact whatever worker a
//! client falls to. The memory of rates is fixed by `max_keys`; counts of connections go with the connections. Where a
//! configuration has no limits, none of this is reached.

mod gcra;
mod held;
mod key;
mod table;
mod tally;

use std::fmt::Write;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Weak};

use tokio::time::Instant;

use crate::config::model::Config;
use crate::config::model::limits::{Bound, Limit as Spec, Rate, When};
use crate::rules::{Condition, Facts};
use gcra::{Decision, Gcra};
use held::{Entry, Held};
use table::Table;
use tally::{Spread, Tally};

/// Where the clock of all limits begins.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

const SECOND_NS: u64 = 1_000_000_000;

/// The limits of a configuration, by the indices of its frontends and backends. `None`: it has none.
#[derive(Debug, Default)]
pub(crate) struct AllLimits {
    pub(crate) frontends: Vec<Option<Arc<Limits>>>,
    pub(crate) backends: Vec<Option<Arc<Limits>>>,
}

impl AllLimits {
    /// Those of a new configuration; a limit that is as it was before goes on with what it knows.
    pub(crate) fn renew(&self, config: &Config) -> AllLimits {
        let frontends =
            config.frontends.iter().map(|frontend| ("frontend", &frontend.name, &frontend.limits));
        let backends = config.backends.iter().map(|backend| ("backend", &backend.name, &backend.limits));
        let make = |before: &[Option<Arc<Limits>>],
                    (kind, name, specs): (&'static str, &Arc<str>, &Vec<Spec>)| {
            let before = before.iter().flatten().find(|limits| limits.proxy == *name);
            (!specs.is_empty()).then(|| Arc::new(Limits::new(kind, name, specs, before)))
        };
        AllLimits {
            frontends: frontends.map(|of| make(&self.frontends, of)).collect(),
            backends: backends.map(|of| make(&self.backends, of)).collect(),
        }
    }
}

impl AllLimits {
    /// Those that there are, the frontends' first.
    pub(crate) fn all(&self) -> Vec<Arc<Limits>> {
        self.frontends.iter().chain(&self.backends).flatten().cloned().collect()
    }
}

/// The limits of a frontend or backend.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Whose they are: `frontend` or `backend`.
    kind: &'static str,
    /// Its name.
    proxy: Arc<str>,
    requests: Vec<Conditional>,
    connections: Vec<Arc<Limit>>,
}

/// A limit on requests, and which of them it counts.
#[derive(Debug)]
struct Conditional {
    when: Option<Arc<Condition>>,
    limit: Arc<Limit>,
}

/// A request that is over a limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status that answers it.
    pub(crate) status: u16,
    /// Header lines of the answer, each with its line end.
    pub(crate) lines: Vec<u8>,
}

/// What a limit has counted since it began.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Whether what is over it passes.
    pub(crate) dry_run: bool,
    /// Requests or connections that were not over it.
    pub(crate) passed: u64,
    /// Those that were.
    pub(crate) over: u64,
    /// Keys that are remembered, of a rate also those whose allowance is full again.
    pub(crate) keys: usize,
    /// The most that can be.
    pub(crate) max_keys: usize,
}

/// A header line to add to a response.
pub(crate) type Line = (&'static str, Vec<u8>);

impl Limits {
    fn new(kind: &'static str, proxy: &Arc<str>, specs: &[Spec], before: Option<&Arc<Limits>>) -> Limits {
        let owner = format!("{kind} {proxy}");
        let (mut requests, mut connections) = (Vec::new(), Vec::new());
        for spec in specs {
            let known = before.and_then(|before| before.all().find(|limit| limit.spec == *spec));
            let limit = known.cloned().unwrap_or_else(|| {
                let counts = before.and_then(|before| before.all().find_map(|limit| limit.counts_for(spec)));
                Arc::new(Limit::new(&owner, spec, counts))
            });
            match spec.bound {
                // Its condition is the new one: the files that it names may have others in them.
                Bound::Requests(_) => requests.push(Conditional { when: spec.when.0.clone(), limit }),
                Bound::Connections(_) | Bound::ConnectionRate(_) => connections.push(limit),
            }
        }
        Limits { kind, proxy: proxy.clone(), requests, connections }
    }

    /// Whether they are a `frontend`'s or a `backend`'s, and its name.
    pub(crate) fn owner(&self) -> (&'static str, &str) {
        (self.kind, &self.proxy)
    }

    /// What each has counted.
    pub(crate) fn counted(&self) -> impl Iterator<Item = Counted<'_>> {
        self.all().map(|limit| Counted {
            name: &limit.spec.name,
            dry_run: limit.spec.dry_run,
            passed: limit.passed.sum(),
            over: limit.over.sum(),
            keys: match &limit.memory {
                Memory::Rate(_, table) => table.keys(),
                Memory::Held(_, held) => held.keys(),
            },
            max_keys: limit.spec.max_keys,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.requests.iter().map(|conditional| &conditional.limit).chain(&self.connections)
    }

    /// Whether a condition wants to know the address that the client connected to.
    pub(crate) fn needs_local(&self) -> bool {
        self.requests.iter().any(|limit| limit.when.as_ref().is_some_and(|when| when.asks_for_port()))
    }

    /// Counts a request: the lines that its response is to carry.
    ///
    /// # Errors
    /// When it is over a limit.
    pub(crate) fn request(&self, facts: &Facts<'_>, now: Instant) -> Result<Vec<Line>, Box<Refusal>> {
        let (now_ns, mut lines) = (ns(now), Vec::new());
        let client = facts.client.map(|client| client.ip());
        for Conditional { when, limit } in &self.requests {
            if when.as_ref().is_some_and(|when| !when.holds(facts)) {
                continue;
            }
            if let Some(key) = key::key(&limit.spec, &limit.secret, client, Some(facts)) {
                limit.request(key, now_ns, &mut lines)?;
            }
        }
        Ok(lines)
    }

    /// Counts a new connection: its places, to be held until it closes. `None`: it is over a limit.
    pub(crate) fn connection(&self, client: Option<IpAddr>, now: Instant) -> Option<Vec<Place>> {
        let (now_ns, mut places) = (ns(now), Vec::new());
        for limit in &self.connections {
            if let Some(key) = key::key(&limit.spec, &limit.secret, client, None) {
                places.extend(limit.connection(key, now_ns)?);
            }
        }
        Some(places)
    }
}

fn ns(now: Instant) -> u64 {
    // From the middle of nowhere, so that what is a little older than the start is a time too.
    u64::try_from(now.saturating_duration_since(*START).as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(SECOND_NS)
}

/// A limit and what it remembers; shared by all workers.
struct Limit {
    spec: Spec,
    owner: Arc<str>,
    secret: RandomState,
    memory: Memory,
    /// What its headers say of it.
    policy: String,
    passed: Spread,
    over: Spread,
    tally: Tally,
}

enum Memory {
    Rate(Gcra, Table),
    /// The most, and how many there are: counts that a limit in the place of this one goes on with.
    Held(u32, Arc<Held>),
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Limit").field(&self.spec).finish()
    }
}

impl Limit {
    /// One that knows nothing, or begins with what another one counts.
    fn new(owner: &str, spec: &Spec, counts: Option<(RandomState, Arc<Held>)>) -> Limit {
        let (secret, held) = counts.unwrap_or_else(|| (RandomState::new(), Arc::new(Held::new())));
        let rate = |rate: &Rate| Memory::Rate(Gcra::new(rate), Table::new(spec.max_keys));
        let (memory, policy) = match &spec.bound {
            Bound::Requests(of) | Bound::ConnectionRate(of) => {
                let window = of.per.as_secs().max(1);
                (rate(of), format!("\"{}\";q={};w={window}", spec.name, of.count))
            }
            Bound::Connections(most) => (Memory::Held(*most, held), String::new()),
        };
        Limit {
            // Its condition is asked elsewhere, and changes: the lists of the first one are not to stay with the limit.
            spec: Spec { when: When(None), ..spec.clone() },
            owner: owner.into(),
            secret,
            memory,
            policy,
            passed: Spread::default(),
            over: Spread::default(),
            tally: Tally::default(),
        }
    }

    /// What a limit by this specification may begin with, where it is this one but for how much it lets in: connections
    /// outlive a reload, and each counts until it closes.
    fn counts_for(&self, spec: &Spec) -> Option<(RandomState, Arc<Held>)> {
        let same_key = self.spec.key == spec.key
            && (self.spec.prefix_v4, self.spec.prefix_v6) == (spec.prefix_v4, spec.prefix_v6);
        match &self.memory {
            Memory::Held(_, held) if same_key && self.spec.name == spec.name => {
                Some((self.secret.clone(), held.clone()))
            }
            _ => None,
        }
    }

    fn request(&self, key: u64, now_ns: u64, lines: &mut Vec<Line>) -> Result<(), Box<Refusal>> {
        let Memory::Rate(gcra, table) = &self.memory else { return Ok(()) };
        let decision = table.apply(key, |state| gcra.ask(state, now_ns));
        let name = &self.spec.name;
        match decision {
            Decision::Pass { left, whole_in_ns } => {
                self.passed.add_one();
                if self.spec.headers && !self.spec.dry_run {
                    let whole_in = whole_in_ns.div_ceil(SECOND_NS);
                    lines.push(("ratelimit-policy", self.policy.clone().into_bytes()));
                    lines.push(("ratelimit", format!("\"{name}\";r={left};t={whole_in}").into_bytes()));
                }
                Ok(())
            }
            Decision::Refuse { wait_ns } => {
                self.tell(now_ns, "requests");
                if self.spec.dry_run {
                    return Ok(());
                }
                let wait = wait_ns.div_ceil(SECOND_NS);
                let mut text = String::new();
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "retry-after: {wait}\r\nratelimit-policy: {}\r\nratelimit: \"{name}\";r=0;t={wait}\r\n",
                    self.policy
                );
                Err(Box::new(Refusal { status: self.spec.status, lines: text.into_bytes() }))
            }
        }
    }

    fn connection(&self, key: u64, now_ns: u64) -> Option<Option<Place>> {
        match &self.memory {
            Memory::Rate(gcra, table) => {
                let over =
                    matches!(table.apply(key, |state| gcra.ask(state, now_ns)), Decision::Refuse { .. });
                self.count(over, now_ns);
                (!over || self.spec.dry_run).then_some(None)
            }
            Memory::Held(most, held) => {
                let (entry, over) = held.enter(key, *most, self.spec.dry_run);
                self.count(over, now_ns);
                match entry {
                    Entry::Counted => Some(Some(Place { held: Arc::downgrade(held), key })),
                    Entry::Full => None,
                }
            }
        }
    }

    /// Counts a connection.
    fn count(&self, over: bool, now_ns: u64) {
        if over {
            self.tell(now_ns, "connections");
        } else {
            self.passed.add_one();
        }
    }

    /// Counts what is over the limit, and now and then says so.
    fn tell(&self, now_ns: u64, what: &str) {
        self.over.add_one();
        let Some(count) = self.tally.count(now_ns) else { return };
        let (owner, limit) = (&self.owner, &self.spec.name);
        let done = if self.spec.dry_run { "would have been refused" } else { "were refused" };
        tracing::info!(target: "lb::limit", count, "limit {limit} of {owner}: {count} {what} over it {done}");
    }
}

/// A connection's place under a limit on connections, until it is dropped. A connection that outlives its limit, which a
/// reload has taken away, does not keep its counts.
#[derive(Debug)]
pub(crate) struct Place {
    held: Weak<Held>,
    key: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(held) = self.held.upgrade() {
            held.leave(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::net::SocketAddr;

    use super::*;
    use crate::config;
    use crate::http::head::RequestHead;
    use crate::http::parse;

    fn config(limits: &str) -> Config {
        let text = format!(
            "[defaults]\ntimeout = {{ connect = \"5s\", client = \"5s\", server = \"5s\" }}\n[frontends.web]\nbind = \
             \"*:80\"\ndefault_backend = \"app\"\nlimits = [{limits}]\n[backends.app]\nservers = [{{ name = \"a\", \
             address = \"127.0.0.1:80\" }}]\n"
        );
        config::parse(&text, "lb.toml").unwrap_or_else(|wrong| panic!("{wrong}")).config
    }

    fn limits(limits: &str) -> Arc<Limits> {
        AllLimits::default().renew(&config(limits)).frontends[0].clone().expect("a limit")
    }

    fn client(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    /// What a client's request comes to.
    fn asked(limits: &Limits, address: Option<&str>, now: Instant) -> Result<Vec<Line>, Box<Refusal>> {
        let client = address.map(|address| SocketAddr::new(address.parse().expect("an address"), 1234));
        limits.request(&Facts::new(&RequestHead::default(), client), now)
    }

    #[test]
    fn who_is_refused_learns_when_to_come_back() {
        let limits = limits("{ name = \"slow\", requests = 1, per = \"10s\", status = 503 }");
        let now = Instant::now();
        assert_eq!(asked(&limits, Some("10.0.0.1"), now), Ok(Vec::new()));
        let later = now + Duration::from_millis(2500);
        let refusal = asked(&limits, Some("10.0.0.1"), later).unwrap_err();
        let lines =
            "retry-after: 8\r\nratelimit-policy: \"slow\";q=1;w=10\r\nratelimit: \"slow\";r=0;t=8\r\n";
        assert_eq!((refusal.status, String::from_utf8(refusal.lines).unwrap()), (503, lines.to_owned()));
        assert!(asked(&limits, Some("10.0.0.2"), later).is_ok(), "another client");
        assert!(asked(&limits, None, later).is_ok(), "nobody's address");
    }

    #[test]
    fn who_passes_may_learn_what_is_left() {
        let limits = limits("{ requests = 10, per = \"10s\", burst = 5, headers = true }");
        let lines = asked(&limits, Some("10.0.0.1"), Instant::now()).unwrap();
        let texts: Vec<_> = lines.iter().map(|(_, text)| String::from_utf8_lossy(text)).collect();
        assert_eq!(texts, ["\"limit-1\";q=10;w=10", "\"limit-1\";r=4;t=1"]);
    }

    #[test]
    fn a_dry_run_lets_everything_pass() {
        let limits = limits(
            "{ requests = 1, per = \"1h\", dry_run = true, headers = true }, { connections = 1, dry_run = true }, \
             { connection_rate = 1, per = \"1h\", dry_run = true, name = \"rate\" }",
        );
        let now = Instant::now();
        assert!((0..5).all(|_| asked(&limits, Some("10.0.0.1"), now).is_ok()));
        let places: Vec<_> = (0..5).map(|_| limits.connection(client("10.0.0.1"), now).unwrap()).collect();
        assert_eq!(places.iter().map(Vec::len).sum::<usize>(), 5);
    }

    #[test]
    fn connections_count_until_they_close() {
        let limits = limits("{ connections = 2 }");
        let now = Instant::now();
        let enter = |address| limits.connection(client(address), now);
        let (first, second) = (enter("10.0.0.1"), enter("10.0.0.1"));
        assert!(first.is_some() && second.is_some() && enter("10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        drop(first);
        assert!(enter("10.0.0.1").is_some());
    }

    #[test]
    fn a_connection_that_one_limit_refuses_leaves_no_trace_at_another() {
        let limits = limits("{ connections = 5 }, { connection_rate = 1, per = \"1h\" }");
        let now = Instant::now();
        let first = limits.connection(client("10.0.0.1"), now).expect("the first");
        assert!((0..9).all(|_| limits.connection(client("10.0.0.1"), now).is_none()));
        let Memory::Held(_, held) = &limits.connections[0].memory else { panic!("a count") };
        let key = first[0].key;
        assert_eq!(held.enter(key, 2, false).0, Entry::Counted);
        assert_eq!(held.enter(key, 2, false).0, Entry::Full);
    }

    #[test]
    fn a_limit_that_stays_as_it_is_remembers() {
        let text = "{ requests = 1, per = \"1h\" }, { requests = 9, per = \"1h\", key = \"path\" }";
        let all = AllLimits::default().renew(&config(text));
        let limits = |all: &AllLimits| all.frontends[0].clone().expect("limits");
        let now = Instant::now();
        let passes = |all: &AllLimits| asked(&limits(all), Some("10.0.0.1"), now).is_ok();
        assert!(passes(&all) && !passes(&all));
        let same = all.renew(&config(&text.replace("= 9", "= 8")));
        assert!(!passes(&same));
        assert!(!Arc::ptr_eq(&limits(&all).requests[1].limit, &limits(&same).requests[1].limit));
        let other = same.renew(&config(&text.replace("= 1,", "= 2,")));
        assert!(passes(&other));
    }

    #[test]
    fn connections_count_however_many_clients_have_one() {
        let limits = limits("{ connections = 1, max_keys = 16 }");
        let now = Instant::now();
        let all = |of: u8| (0..=255_u8).map(move |last| Some(IpAddr::from([10, 0, of, last])));
        let places: Vec<_> = all(0).chain(all(1)).map(|client| limits.connection(client, now)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(all(0).chain(all(1)).all(|client| limits.connection(client, now).is_none()));
        drop(places);
        assert!(all(0).all(|client| limits.connection(client, now).is_some()));
    }

    #[test]
    fn connections_that_a_reload_finds_still_count_under_another_bound() {
        let frontend = |all: &AllLimits| all.frontends[0].clone().expect("limits");
        let now = Instant::now();
        let enter = |all: &AllLimits| frontend(all).connection(client("10.0.0.1"), now);
        let three = AllLimits::default().renew(&config("{ connections = 3 }"));
        let mut places: Vec<_> = (0..3).map(|_| enter(&three).expect("room")).collect();
        let four = three.renew(&config("{ connections = 4 }"));
        drop(three);
        places.push(enter(&four).expect("one more"));
        assert!(enter(&four).is_none());
        let two = four.renew(&config("{ connections = 2 }"));
        places.truncate(2);
        assert!(enter(&two).is_none());
        places.truncate(1);
        assert!(enter(&two).is_some());
        drop((places, four));
        assert_eq!(two.frontends[0].as_ref().expect("limits").counted().next().expect("one").keys, 0);
        let networks = two.renew(&config("{ connections = 2, prefix_v4 = 8 }"));
        assert_eq!([(); 3].map(|()| enter(&networks)).iter().flatten().count(), 2, "another key begins anew");
    }

    #[test]
    fn a_limit_counts_only_what_its_condition_means_and_remembers_when_that_changes() {
        let text = |when: &str| format!("{{ requests = 1, per = \"1h\", when = {{ {when} }} }}");
        let all =
            AllLimits::default().renew(&config(&text("path_prefix = \"/api/\", not = { method = \"GET\" }")));
        let passes = |all: &AllLimits, line: &str| {
            let mut head = RequestHead::default();
            parse::request(format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes(), 9, &mut head)
                .unwrap()
                .unwrap();
            let client = Some(SocketAddr::new([10, 0, 0, 1].into(), 1234));
            all.frontends[0].as_ref().unwrap().request(&Facts::new(&head, client), Instant::now()).is_ok()
        };
        for _ in 0..3 {
            assert!(passes(&all, "GET /api/x") && passes(&all, "POST /x"));
        }
        assert!(passes(&all, "POST /api/x") && !passes(&all, "POST /api/y"));
        assert!(passes(&all, "GET /api/x"));
        let wider = all.renew(&config(&text("path_prefix = \"/\"")));
        assert!(!passes(&wider, "GET /"), "what was counted still counts");
    }
}

//! What an instance can see and do: the host's side of the interfaces that a policy imports.
//!
//! Everything here answers at once from memory; nothing blocks, and nothing can fail but by bounds that
//! are checked.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, UpdateDeadline};

use super::bindings::{candidates, log, request, response, servers, types};
use super::ticker::{Pulse, processor_time};
use super::voice::{Level, Voice};
use crate::backend::Backend;
use crate::backend::load::{LoadTable, Loads};
use crate::http::head::{Lines, RequestHead, ResponseHead};
use crate::random::Random;

/// The data of an instance's store.
pub(super) struct Guest {
    /// The backend decided for; `None` while a component is being described.
    pub(super) backend: Option<Arc<Backend>>,
    /// What stands in for a backend, the clocks and chance in a simulation.
    pub(super) simulated: Option<Surroundings>,
    /// The request being decided on, for the length of a call.
    pub(super) request: Option<Arc<RequestHead>>,
    /// The response being amended, for the length of a call.
    pub(super) response: Option<Arc<ResponseHead>>,
    /// Whether a pick is under way: loads are to be seen only then.
    pub(super) picking: bool,
    /// The loads of the candidates of the last `update`.
    pub(super) loads: Loads,
    pub(super) limits: Limits,
    pub(super) watch: Watch,
    pub(super) voice: Arc<Voice>,
}

impl Guest {
    pub(super) fn new(backend: Option<Arc<Backend>>, pulse: Arc<Pulse>, voice: Arc<Voice>) -> Guest {
        Guest {
            backend,
            simulated: None,
            request: None,
            response: None,
            picking: false,
            loads: Loads::default(),
            limits: Limits { memory_left: MEMORY_BYTES, table_left: TABLE_ELEMENTS, denied: false },
            watch: Watch { pulse, budget: Duration::ZERO, since: None },
            voice,
        }
    }
}

/// What a simulation tells an instance of the world: the same each time it is run.
pub(super) struct Surroundings {
    /// The loads as this balancer sees them, by server.
    pub(super) loads: LoadTable,
    /// Since 1970.
    pub(super) time_ns: u64,
    pub(super) random: Random,
}

/// What an instance may have in memory. A policy in Rust or C takes one or two MiB, QuickJS a few, Python 20 to
/// 40.
pub const MEMORY_BYTES: usize = 64 << 20;
/// What an instance may have in table elements: of functions, mostly. Python has some 10,000.
const TABLE_ELEMENTS: usize = 100_000;

/// What is left of an instance's allowance, over all its memories and tables.
pub(super) struct Limits {
    memory_left: usize,
    table_left: usize,
    /// Whether it was refused something: a trap that follows came from that.
    pub(super) denied: bool,
}

impl Limits {
    /// What the instance has of its allowance of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        MEMORY_BYTES - self.memory_left
    }

    fn take(left: &mut usize, denied: &mut bool, current: usize, desired: usize) -> bool {
        match left.checked_sub(desired.saturating_sub(current)) {
            Some(rest) => *left = rest,
            None => *denied = true,
        }
        !*denied
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, now: usize, then: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.denied = false;
        Ok(Limits::take(&mut self.memory_left, &mut self.denied, now, then))
    }

    fn table_growing(&mut self, now: usize, then: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.denied = false;
        Ok(Limits::take(&mut self.table_left, &mut self.denied, now, then))
    }

    fn instances(&self) -> usize {
        // A component is made of a few modules: its own, an adapter, shims between them. Python has some 20.
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        20
    }
}

/// Stops a call that takes too much processor time.
pub(super) struct Watch {
    pub(super) pulse: Arc<Pulse>,
    /// What the call under way may take.
    pub(super) budget: Duration,
    /// The thread's processor time when the epoch first moved during the call under way.
    pub(super) since: Option<Duration>,
}

impl Watch {
    /// The epoch has moved during a call.
    pub(super) fn look(&mut self) -> UpdateDeadline {
        self.pulse.beat();
        let now = processor_time();
        match self.since {
            Some(since) if now.saturating_sub(since) >= self.budget => UpdateDeadline::Interrupt,
            Some(_) => UpdateDeadline::Continue(1),
            None => {
                self.since = Some(now);
                UpdateDeadline::Continue(1)
            }
        }
    }
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.voice.say(level, &message);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn header(lines: &Lines, name: &str) -> Option<String> {
    lines.header(name.as_bytes()).map(text)
}

impl request::Host for Guest {
    fn method(&mut self) -> String {
        self.request.as_ref().map_or_else(String::new, |request| text(request.method()))
    }

    fn path(&mut self) -> String {
        self.request.as_ref().map_or_else(String::new, |request| text(request.path()))
    }

    fn query(&mut self) -> Option<String> {
        self.request.as_ref()?.query().map(text)
    }

    fn authority(&mut self) -> String {
        self.request.as_ref().map_or_else(String::new, |request| text(request.authority()))
    }

    fn header(&mut self, name: String) -> Option<String> {
        header(self.request.as_ref()?.lines(), &name)
    }

    fn cookie(&mut self, name: String) -> Option<String> {
        self.request.as_ref()?.cookie(name.as_bytes()).map(text)
    }

    fn client_port(&mut self) -> u16 {
        self.request.as_ref().map_or(0, |request| request.client_port)
    }
}

impl response::Host for Guest {
    fn status(&mut self) -> u16 {
        self.response.as_ref().map_or(0, |response| response.status)
    }

    fn header(&mut self, name: String) -> Option<String> {
        header(self.response.as_ref()?.lines(), &name)
    }
}

impl servers::Host for Guest {
    fn usable(&mut self, server: u32) -> bool {
        self.backend
            .as_ref()
            .and_then(|backend| backend.servers.get(server as usize))
            .is_some_and(|server| server.is_usable())
    }
}

impl candidates::Host for Guest {
    fn load(&mut self, candidate: u32) -> u32 {
        if !self.picking {
            return 0;
        }
        self.loads.read_one(candidate as usize).unwrap_or(0)
    }

    fn loads(&mut self) -> Vec<u32> {
        if self.picking { self.loads.read() } else { vec![0; self.loads.len()] }
    }
}

//! Deadlines. One thread moves the engine's epoch on every few milliseconds; a call that is running when
//! it moves looks at how much processor time it has had.
//!
//! Processor time, because an epoch is wall time: on a machine whose cores are busy elsewhere a healthy
//! guest would be called late. And only when the epoch moves, so that a call which is over before that pays
//! nothing for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::Engine;

/// How often calls are looked at: half the shortest budget. The first look starts the watch, so that a call
/// which may take 10 ms is stopped after 10 to 20.
const PERIOD: Duration = Duration::from_millis(5);

/// So many periods without a call, and the thread sleeps until the next.
const IDLE_PERIODS: u32 = 40;

/// Moves the epoch on while calls are made. Its thread ends when the last handle goes.
pub(super) struct Ticker {
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

/// What calls and the ticking thread tell each other.
pub(super) struct Pulse {
    /// Set by calls, cleared by the thread. Almost always read only, so that workers share the cache line.
    used: AtomicBool,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let pulse = Arc::new(Pulse {
            used: AtomicBool::new(true),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let engine = engine.weak();
        let thread = thread::Builder::new().name("lb-epoch".into()).spawn({
            let pulse = pulse.clone();
            move || {
                let mut idle = 0;
                while !pulse.stop.load(Ordering::Acquire) {
                    thread::park_timeout(PERIOD);
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                    idle = if pulse.used.swap(false, Ordering::SeqCst) { 0 } else { idle + 1 };
                    if idle > IDLE_PERIODS {
                        pulse.sleep();
                        idle = 0;
                    }
                }
            }
        })?;
        let _ = pulse.thread.set(thread.thread().clone());
        Ok(Ticker { pulse, thread: Some(thread) })
    }

    pub(super) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only ever returns; and were it to have panicked, nothing is to be done about it here.
            let _ = thread.join();
        }
    }
}

impl Pulse {
    /// Says that a call is being made.
    pub(super) fn beat(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.used.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until a call is made. Either the call sees `asleep`, or this thread sees `used`.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while !self.used.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// How much processor time the calling thread has had.
pub(super) fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_without_calls_sleeps_and_a_call_wakes_it() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).expect("an engine");
        let ticker = Ticker::start(&engine).expect("a thread");
        let pulse = ticker.pulse();
        while !pulse.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let module = wat::parse_str("(module (func (export \"run\") (loop $l (br $l))))").expect("a module");
        let module = wasmtime::Module::new(&engine, module).expect("it compiles");
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("it is instantiated");
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("the function");
        pulse.beat();
        assert!(run.call(&mut store, ()).is_err(), "the epoch moves again, and stops it");
    }
}

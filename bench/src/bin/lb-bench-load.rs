//! The benchmark's open-loop load: requests are due at times that do not depend on the answers, and a request's time
//! runs from when it was due. One that finds every connection busy waits, and its waiting counts.
//!
//! - `lb-bench-load rate ADDRESS PER_SECOND SECONDS CONNECTIONS` sends at random times (a Poisson process with a fixed
//!   seed) and prints one JSON object: `requests`, `late` (those that found no free connection), and `p50`, `p90`,
//!   `p99`, `p999`, `max` in microseconds. The first second is left out. `windows` is the number of tenths of a second
//!   in which answers came, and `calm` has the 50th and 99th percentile of each one of those in which, as in the one
//!   before, the hypervisor took nothing of the cores: what the proxy does is to be seen there, and what befell the
//!   machine in the others.
//! - `lb-bench-load idle ADDRESS COUNT` opens connections, sends one request on each, prints `ready` once all are
//!   answered, and holds them until its standard input ends.
//! - `lb-bench-load hold ADDRESS COUNT` does so with requests that are never answered, and does not wait.

#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lb_bench::head;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: bench\r\nuser-agent: lb-bench\r\naccept: */*\r\n\r\n";
const HELD: &[u8] = b"GET /hold HTTP/1.1\r\nhost: bench\r\n\r\n";
const WARM_UP: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_millis(100);
const TIMER: Token = Token(usize::MAX);
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["rate", address, rate, seconds, connections] => {
            let span = Duration::from_secs_f64(seconds.parse()?) + WARM_UP;
            Load::new(address.parse()?, rate.parse()?, connections.parse()?)?.run(span)
        }
        ["idle", address, count] => hold(address.parse()?, count.parse()?, REQUEST, true),
        ["hold", address, count] => hold(address.parse()?, count.parse()?, HELD, false),
        _ => bail!(
            "usage: lb-bench-load rate ADDRESS PER_SECOND SECONDS CONNECTIONS | idle|hold ADDRESS COUNT"
        ),
    }
}

/// Holds connections until standard input ends.
fn hold(address: SocketAddr, count: usize, request: &[u8], answered: bool) -> anyhow::Result<()> {
    let mut streams = Vec::with_capacity(count);
    let mut answer = [0; 4096];
    for _ in 0..count {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(request)?;
        if answered {
            ensure!(stream.read(&mut answer)? > 0, "a connection was closed without an answer");
        }
        streams.push(stream);
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

struct Connection {
    stream: TcpStream,
    /// What has come of the answer under way.
    held: Vec<u8>,
    /// When the request under way was due.
    due: Option<Instant>,
}

struct Load {
    poll: Poll,
    timer: Timer,
    connections: Vec<Connection>,
    free: Vec<usize>,
    /// When those that wait for a connection were due.
    waiting: VecDeque<Instant>,
    gap: Duration,
    seed: u64,
    micros: Vec<u32>,
    windows: Windows,
    late: u64,
}

impl Load {
    fn new(address: SocketAddr, rate: f64, connections: usize) -> anyhow::Result<Load> {
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.registry().register(&mut SourceFd(&timer.0.as_raw_fd()), TIMER, Interest::READABLE)?;
        let connect = |token| -> anyhow::Result<Connection> {
            let stream = std::net::TcpStream::connect(address).context("cannot connect")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
            Ok(Connection { stream, held: Vec::new(), due: None })
        };
        Ok(Load {
            connections: (0..connections).map(connect).collect::<Result<_, _>>()?,
            free: (0..connections).collect(),
            poll,
            timer,
            waiting: VecDeque::new(),
            gap: Duration::from_secs_f64(1.0 / rate),
            seed: SEED,
            micros: Vec::new(),
            windows: Windows::new()?,
            late: 0,
        })
    }

    fn run(mut self, span: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let (from, end) = (start + WARM_UP, start + span);
        let mut next = start;
        let mut events = Events::with_capacity(1024);
        let mut input = vec![0; 64 << 10];
        while next < end || !self.waiting.is_empty() || self.free.len() < self.connections.len() {
            let now = Instant::now();
            ensure!(now < end + Duration::from_secs(20), "answers are still missing after 20 s");
            if now >= from {
                self.windows.go_on(now)?;
            }
            while next < end && next <= Instant::now() {
                self.send(next, from)?;
                next += self.random_gap();
            }
            self.timer.set(if next < end { next } else { end + Duration::from_secs(20) })?;
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                if event.token() == TIMER {
                    self.timer.clear();
                } else {
                    self.receive(event.token().0, &mut input, from)?;
                }
            }
        }
        self.print();
        Ok(())
    }

    fn send(&mut self, due: Instant, from: Instant) -> anyhow::Result<()> {
        match self.free.pop() {
            Some(index) => self.request(index, due),
            None => {
                self.late += u64::from(due >= from);
                self.waiting.push_back(due);
                Ok(())
            }
        }
    }

    fn request(&mut self, index: usize, due: Instant) -> anyhow::Result<()> {
        let connection = &mut self.connections[index];
        connection.due = Some(due);
        // A request is far smaller than a socket's buffer.
        connection.stream.write_all(REQUEST).context("cannot send a request")
    }

    fn receive(&mut self, index: usize, input: &mut [u8], from: Instant) -> anyhow::Result<()> {
        let connection = &mut self.connections[index];
        match connection.stream.read(input) {
            Ok(0) => bail!("a connection was closed"),
            Ok(count) => connection.held.extend_from_slice(&input[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let Some(head) = head(&connection.held) else { return Ok(()) };
        if (connection.held.len() - head.length) as u64 != head.body {
            return Ok(());
        }
        ensure!(connection.held.starts_with(b"HTTP/1.1 200"), "a request failed");
        connection.held.clear();
        if let Some(due) = connection.due.take().filter(|due| *due >= from) {
            let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.micros.push(micros);
            self.windows.micros.push(micros);
        }
        match self.waiting.pop_front() {
            Some(due) => self.request(index, due)?,
            None => self.free.push(index),
        }
        Ok(())
    }

    /// The time to the next request: exponential, from xorshift64* (Vigna, "An experimental exploration of Marsaglia's
    /// xorshift generators, scrambled", 2016).
    fn random_gap(&mut self) -> Duration {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let bits = self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        let uniform = (bits as f64 + 0.5) / (1u64 << 53) as f64;
        self.gap.mul_f64(-uniform.ln())
    }

    fn print(&mut self) {
        self.micros.sort_unstable();
        let at = |share| percentile(&self.micros, share);
        let calm: Vec<String> =
            self.windows.calm.iter().map(|(p50, p99)| format!("[{p50}, {p99}]")).collect();
        println!(
            r#"{{"requests": {}, "late": {}, "p50": {}, "p90": {}, "p99": {}, "p999": {}, "max": {}, "windows": {}, "calm": [{}]}}"#,
            self.micros.len(),
            self.late,
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0),
            self.windows.count,
            calm.join(", ")
        );
    }
}

/// Of times that are in order; 0 where there are none.
fn percentile(micros: &[u32], share: f64) -> u32 {
    let last = micros.len().saturating_sub(1);
    micros.get(((last as f64) * share) as usize).copied().unwrap_or(0)
}

/// Times by when their answers came.
struct Windows {
    stat: std::fs::File,
    /// When the window began that answers come in now, and what had been taken of the cores by then.
    began: Option<(Instant, u64)>,
    /// Whether the window before it was calm itself, for what befell that one shows in the times of this.
    calm_before: bool,
    micros: Vec<u32>,
    count: u64,
    /// The 50th and 99th percentile of each calm window.
    calm: Vec<(u32, u32)>,
}

impl Windows {
    fn new() -> anyhow::Result<Windows> {
        let stat = std::fs::File::open("/proc/stat").context("cannot read /proc/stat")?;
        Ok(Windows { stat, began: None, calm_before: false, micros: Vec::new(), count: 0, calm: Vec::new() })
    }

    /// Ends the window under way if it is over.
    fn go_on(&mut self, now: Instant) -> anyhow::Result<()> {
        if self.began.is_some_and(|(began, _)| now < began + WINDOW) {
            return Ok(());
        }
        let stolen = self.stolen()?;
        if let Some((_, before)) = self.began.replace((now, stolen)) {
            let calm = stolen == before;
            if !self.micros.is_empty() {
                self.micros.sort_unstable();
                self.count += 1;
                if calm && self.calm_before {
                    self.calm.push((percentile(&self.micros, 0.5), percentile(&self.micros, 0.99)));
                }
                self.micros.clear();
            }
            self.calm_before = calm;
        }
        Ok(())
    }

    /// What the hypervisor has taken of all cores, in hundredths of a second: `steal` of proc_stat(5).
    fn stolen(&self) -> anyhow::Result<u64> {
        let mut text = [0; 256];
        let length = self.stat.read_at(&mut text, 0)?;
        let line = String::from_utf8_lossy(&text[..length]);
        let steal = line.lines().next().and_then(|total| total.split_ascii_whitespace().nth(8));
        steal
            .context("/proc/stat does not say what is stolen")?
            .parse()
            .context("/proc/stat is not a table of numbers")
    }
}

/// A timer of the kernel's, finer than the milliseconds that a wait for events knows.
struct Timer(OwnedFd);

impl Timer {
    fn new() -> std::io::Result<Timer> {
        // SAFETY: no pointer is passed.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Timer(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn set(&self, at: Instant) -> std::io::Result<()> {
        // All zeros would stop the timer.
        let after = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value =
            libc::timespec { tv_sec: after.as_secs() as i64, tv_nsec: i64::from(after.subsec_nanos()) };
        let spec = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: the descriptor is open, `spec` lives through the call, and no old value is asked for.
        match unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer takes the eight bytes that a timer gives. Where it has not fired, nothing is read.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

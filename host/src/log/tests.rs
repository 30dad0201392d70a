//! Logs from end to end: workers and messages on one side, files, pipes and sockets on the other.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::time::UNIX_EPOCH;

use tracing_subscriber::layer::SubscriberExt as _;

use super::process::ProcessLog;
use super::*;
use crate::config::model::{
    Captures, Global, LogFormat, LogFraming, LogLevel, LogLine, LogPeer, LogStream, Logging, Tune,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lb-log-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new directory");
        Directory(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn target(destination: LogDestination, format: LogFormat) -> LogTarget {
    LogTarget {
        destination,
        format,
        facility: 16,
        level: LogLevel::Debug,
        tag: "lb".to_owned(),
        length: None,
    }
}

fn file(path: &Path) -> LogTarget {
    target(LogDestination::File(path.to_owned()), LogFormat::Raw)
}

fn config(log: Vec<LogTarget>) -> Config {
    let pool_idle_timeout = Duration::ZERO;
    let tune = Tune { bufsize: 0, maxhdr: 0, pool_max_idle: 0, pool_idle_timeout };
    let global = Global {
        nbthread: 1,
        maxconn: None,
        log,
        log_levels: Vec::new(),
        hard_stop_after: None,
        watch: false,
        admin: None,
        tune,
    };
    Config { global, frontends: Vec::new(), backends: Vec::new(), lists: Vec::new() }
}

fn open(targets: &[LogTarget]) -> (Logs, TargetSet) {
    let logs = Logs::new(&config(targets.to_vec())).expect("targets that can be opened");
    let set = logs.target_set(targets).expect("targets that are open");
    (logs, set)
}

fn record(request_line: &[u8]) -> Record<'_> {
    Record {
        client: Some(([10, 0, 1, 2], 33317).into()),
        local: Some(([10, 0, 1, 1], 80).into()),
        accepted: UNIX_EPOCH + Duration::from_millis(1_233_922_454_655),
        frontend: "http-in",
        tls: None,
        backend: "static",
        server: Some("srv1"),
        server_address: None,
        request_ms: 10,
        queue_ms: 0,
        connect_ms: 30,
        response_ms: 69,
        total_ms: 109,
        status: Some(200),
        bytes: 2750,
        uploaded: 0,
        termination: *b"----",
        process_connections: 1,
        frontend_connections: 1,
        backend_connections: 1,
        server_connections: 1,
        retries: 0,
        redispatched: false,
        server_queue: 0,
        backend_queue: 0,
        request_line: Some(request_line),
        request: None,
        response: None,
    }
}

fn lines(set: &TargetSet, line: LogLine) -> ExchangeLog {
    let logging = Logging {
        line,
        captures: Captures::default(),
        only_errors: false,
        separate_errors: false,
        sample: None,
    };
    ExchangeLog::new(set.clone(), logging)
}

fn exchange(log: &mut WorkerLog, set: &TargetSet, path: &str) {
    let record = format!("GET {path} HTTP/1.1");
    log.exchange(&lines(set, LogLine::Http), &self::record(record.as_bytes()));
}

/// Waits for what other threads do.
fn until(mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "it never happened");
        std::thread::yield_now();
    }
}

fn totals(logs: &Logs) -> (u64, u64) {
    logs.counters()
        .iter()
        .fold((0, 0), |(written, dropped), counters| (written + counters.written, dropped + counters.dropped))
}

/// A named pipe, and its reading end.
fn pipe(path: &Path) -> std::fs::File {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe");
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).expect("a pipe to read")
}

/// Reads what comes until every writer is gone.
fn read_to_end(mut pipe: std::fs::File) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return all,
            Ok(read) => all.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_reader_that_never_reads_costs_lines_and_no_time() {
    const LINES: u64 = 1_000_000;
    let directory = Directory::new();
    let reader = pipe(&directory.path("pipe"));
    let (logs, set) = open(&[file(&directory.path("pipe"))]);

    // Nobody reads: were anything here to wait for a reader, this would never end.
    let mut log = logs.worker();
    let record = record(b"GET / HTTP/1.1");
    for line in 0..LINES {
        log.exchange(&lines(&set, LogLine::Connect), &record);
        if line % 1_000 == 0 {
            log.flush();
        }
    }
    drop(log);
    assert!(totals(&logs).1 > 0, "a pipe and the queue cannot hold that much");

    let reading = std::thread::spawn(move || read_to_end(reader));
    assert_eq!(logs.shutdown(PATIENCE), 0);
    let (written, dropped) = totals(&logs);
    drop((logs, set));

    let text = String::from_utf8(reading.join().expect("a reader")).expect("lines are ASCII");
    assert!(text.ends_with('\n'));
    let (announced, read): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.ends_with(" log lines dropped"));
    let whole = "Connect from 10.0.1.2:33317 to 10.0.1.1:80 (http-in/HTTP)";
    assert!(read.iter().all(|&line| line == whole));
    assert_eq!(read.len() as u64, written);
    assert_eq!(written + dropped, LINES);
    let announced = announced.iter().filter_map(|line| line.split(' ').next()?.parse::<u64>().ok());
    assert_eq!(announced.sum::<u64>(), dropped);
}

#[test]
fn a_reader_that_is_gone_costs_lines() {
    let directory = Directory::new();
    let reader = pipe(&directory.path("pipe"));
    let (logs, set) = open(&[file(&directory.path("pipe"))]);
    drop(reader);
    let mut log = logs.worker();
    for _ in 0..100 {
        exchange(&mut log, &set, "/");
    }
    log.flush();
    until(|| totals(&logs) == (0, 100));
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error_at_the_start() {
    let directory = Directory::new();
    drop(pipe(&directory.path("pipe")));
    let error = Logs::new(&config(vec![file(&directory.path("pipe"))])).expect_err("nobody reads it");
    assert!(error.to_string().starts_with("cannot open log /"));
}

#[test]
fn files_are_appended_to_and_opened_anew_for_a_rotation() {
    let directory = Directory::new();
    let path = directory.path("log");
    fs::write(&path, "what was there\n").expect("a file");
    let (logs, set) = open(&[file(&path)]);
    let mut log = logs.worker();

    exchange(&mut log, &set, "/first");
    log.flush();
    until(|| totals(&logs) == (1, 0));
    let rotated = directory.path("log.1");
    fs::rename(&path, &rotated).expect("a rename");
    logs.reopen();
    until(|| path.exists());
    exchange(&mut log, &set, "/second");
    drop(log);
    assert_eq!(logs.shutdown(PATIENCE), 0);

    let old = fs::read_to_string(rotated).expect("the old file");
    assert!(old.starts_with("what was there\n10.0.1.2:33317 ["));
    assert!(old.ends_with(" \"GET /first HTTP/1.1\"\n"));
    let new = fs::read_to_string(&path).expect("the new file");
    assert_eq!(new.lines().count(), 1);
    assert!(new.ends_with(" \"GET /second HTTP/1.1\"\n"));
    let mode = fs::metadata(&path).expect("the new file").permissions().mode();
    assert_eq!(mode & 0o137, 0, "not for everybody to read");
}

#[test]
fn syslog_by_udp_gets_a_datagram_a_line() {
    let daemon = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    daemon.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let address = daemon.local_addr().expect("an address").to_string();
    let (logs, set) = open(&[target(LogDestination::Udp(address), LogFormat::Priority)]);
    let mut log = logs.worker();
    for line in 0..100 {
        exchange(&mut log, &set, &format!("/{line}"));
    }
    log.flush();
    let mut datagram = [0; 2048];
    for line in 0..100 {
        let length = daemon.recv(&mut datagram).expect("a datagram");
        let text = std::str::from_utf8(&datagram[..length]).expect("ASCII");
        assert!(text.starts_with("<134>10.0.1.2:33317 ["));
        assert!(text.ends_with(&format!(" \"GET /{line} HTTP/1.1\"\n")));
    }
    until(|| totals(&logs) == (100, 0));
}

#[test]
fn an_absent_syslog_daemon_is_counted_and_lines_flow_when_it_comes() {
    let absent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = absent.local_addr().expect("an address");
    drop(absent);
    let (logs, set) = open(&[target(LogDestination::Udp(address.to_string()), LogFormat::Raw)]);
    let mut log = logs.worker();
    // That a datagram found nobody is told to the next one.
    for sent in 1.. {
        exchange(&mut log, &set, "/lost");
        log.flush();
        until(|| totals(&logs).0.wrapping_add(totals(&logs).1) == sent);
        if totals(&logs).1 > 0 {
            break;
        }
    }
    let daemon = UdpSocket::bind(address).expect("the same address");
    daemon.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    exchange(&mut log, &set, "/found");
    log.flush();
    let mut datagram = [0; 2048];
    let length = daemon.recv(&mut datagram).expect("a datagram");
    assert!(datagram[..length].ends_with(b"\"GET /found HTTP/1.1\"\n"));
}

#[test]
fn a_syslog_daemon_on_a_unix_socket_may_restart() {
    let directory = Directory::new();
    let path = directory.path("socket");
    let (logs, set) = open(&[target(LogDestination::Unix(path.clone()), LogFormat::Short)]);
    let mut log = logs.worker();
    let mut datagram = [0; 2048];
    let mut receive = |daemon: &UnixDatagram| {
        daemon.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let length = daemon.recv(&mut datagram).expect("a datagram");
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    };

    exchange(&mut log, &set, "/too-early");
    log.flush();
    until(|| totals(&logs) == (0, 1));
    for start in 1..=3 {
        let daemon = UnixDatagram::bind(&path).expect("a socket");
        exchange(&mut log, &set, &format!("/{start}"));
        log.flush();
        assert!(receive(&daemon).ends_with(&format!(" \"GET /{start} HTTP/1.1\"\n")));
        if start == 1 {
            assert_eq!(receive(&daemon), "<4>1 log lines dropped\n");
        }
        drop(daemon);
        fs::remove_file(&path).expect("the socket's file");
    }
}

#[test]
fn each_target_has_its_own_framing_and_one_outlet_a_destination() {
    let directory = Directory::new();
    let path = directory.path("log");
    let [raw, mut short, mut warnings] = [LogFormat::Raw, LogFormat::Short, LogFormat::Priority]
        .map(|format| target(LogDestination::File(path.clone()), format));
    short.length = Some(80);
    warnings.level = LogLevel::Warning;
    let (logs, set) = open(&[raw, short, warnings.clone()]);
    assert!(!logs.target_set(&[warnings]).expect("an open target").takes(LogLevel::Info));
    let mut log = logs.worker();
    exchange(&mut log, &set, "/\n<evil>");
    drop(log);
    assert_eq!(logs.shutdown(PATIENCE), 0);
    let text = fs::read_to_string(&path).expect("a log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with(" \"GET /#0A<evil> HTTP/1.1\""));
    assert_eq!(lines[1], format!("<6>{}", &lines[0][..77]));
    assert_eq!(logs.counters().len(), 1);
}

#[test]
fn a_reload_keeps_opens_and_lets_go() {
    let directory = Directory::new();
    let [first, second, third] = ["first", "second", "third"].map(|name| file(&directory.path(name)));
    let (logs, old) = open(&[first.clone(), second.clone()]);
    let mut log = logs.worker();
    exchange(&mut log, &old, "/before");

    let config = config(vec![second.clone(), third.clone()]);
    logs.open(&config).expect("targets that can be opened").keep();
    let new = logs.target_set(&config.global.log).expect("open targets");
    logs.retain(&config);
    // An exchange that began before the reload ends after it.
    exchange(&mut log, &old, "/between");
    drop(old);
    exchange(&mut log, &new, "/after");
    drop(log);
    assert_eq!(logs.shutdown(PATIENCE), 0);

    let lines = |name: &str| fs::read_to_string(directory.path(name)).map_or(0, |text| text.lines().count());
    assert_eq!((lines("first"), lines("second"), lines("third")), (2, 3, 1));
    let destinations: Vec<String> =
        logs.counters().into_iter().map(|counters| counters.destination).collect();
    let expected = ["second", "third"].map(|name| directory.path(name).display().to_string());
    assert_eq!(destinations, expected);
}

fn stream(peer: LogPeer, framing: LogFraming) -> LogTarget {
    target(LogDestination::Stream(LogStream { peer, framing }), LogFormat::Raw)
}

#[test]
fn a_unix_stream_gets_a_line_feed_after_each_line() {
    let directory = Directory::new();
    let path = directory.path("socket");
    let daemon = UnixListener::bind(&path).expect("a socket");
    let (logs, set) = open(&[stream(LogPeer::Unix(path), LogFraming::Lines)]);
    let mut log = logs.worker();
    exchange(&mut log, &set, "/first");
    exchange(&mut log, &set, "/second");
    drop(log);
    let (mut connection, _) = daemon.accept().expect("a connection");
    assert_eq!(logs.shutdown(PATIENCE), 0);
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("text, and its end");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("/first") && lines[1].contains("/second"), "{text}");
}

#[test]
fn what_a_daemon_that_is_away_cannot_take_is_dropped_counted_and_said() {
    let away = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = away.local_addr().expect("an address");
    drop(away);
    let (logs, set) = open(&[stream(LogPeer::Tcp(address.to_string()), LogFraming::Octets)]);
    let mut log = logs.worker();
    let (lines, record) = (lines(&set, LogLine::Http), record(b"GET / HTTP/1.1"));
    for line in 0..200_000 {
        log.exchange(&lines, &record);
        if line % 1_000 == 0 {
            log.flush();
        }
    }
    let dropped = totals(&logs).1;
    assert!(dropped > 0, "the queue cannot hold that much");
    drop(log);

    let daemon = TcpListener::bind(address).expect("the same port");
    let reading = std::thread::spawn(move || {
        let (mut connection, _) = daemon.accept().expect("a connection");
        let mut text = String::new();
        connection.read_to_string(&mut text).expect("text, and its end");
        text
    });
    until(|| totals(&logs).0 > 0);
    assert_eq!(logs.shutdown(PATIENCE), 0);
    let text = reading.join().expect("it ended well");
    let (written, dropped) = totals(&logs);
    assert_eq!(written + dropped, 200_000);
    assert_eq!(text.matches("\"GET / HTTP/1.1\"").count() as u64, written);
    assert!(text.contains(" log lines dropped"));
}

#[test]
fn a_reload_lets_go_of_a_daemon_that_is_away_without_waiting_for_it() {
    let away = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = away.local_addr().expect("an address").to_string();
    drop(away);
    let (logs, set) = open(&[stream(LogPeer::Tcp(address), LogFraming::Octets)]);
    let mut log = logs.worker();
    exchange(&mut log, &set, "/lost");
    drop((log, set));
    logs.retain(&config(Vec::new()));
    assert_eq!(logs.shutdown(PATIENCE), 0);
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    let error = Logs::new(&config(vec![file(Path::new("/nowhere/log"))])).expect_err("no such directory");
    assert_eq!(error.to_string(), "cannot open log /nowhere/log");
}

#[test]
fn the_programs_messages_are_lines_with_fields_and_levels() {
    let directory = Directory::new();
    let path = directory.path("log");
    let mut target = target(LogDestination::File(path.clone()), LogFormat::Priority);
    target.level = LogLevel::Notice;
    let (logs, set) = open(&[target]);
    let messages = ProcessLog::default();
    messages.to_targets(set);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(messages.clone()), || {
        tracing::warn!(syslog = "alert", "Server b/s1 is DOWN");
        tracing::info!(address = %"127.0.0.1:80", workers = 2, "listening");
        let cause = io::Error::other("disk \"full\"");
        tracing::error!(error = &cause as &dyn std::error::Error, name = "", "two\nlines \x1b[1m");
        tracing::warn!(text = ?"quoted once", "policy");
        tracing::debug!("too much detail");
    });
    messages.to_stderr();
    assert_eq!(logs.shutdown(PATIENCE), 0);
    assert_eq!(
        fs::read_to_string(path).expect("a log"),
        "<129>Server b/s1 is DOWN\n\
         <133>listening address=127.0.0.1:80 workers=2\n\
         <131>two lines #1B[1m error=\"disk \\\"full\\\"\" name=\"\"\n\
         <132>policy text=\"quoted once\"\n"
    );
}

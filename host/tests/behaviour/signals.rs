//! Signals at any time: while the program starts, while it reloads, and to commands that end by themselves.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::kit::{Directory, PATIENCE, Process, Proxy, Setup, Signal, get, lb, origin, proxy, until};

/// A name server that hears questions and never answers: whoever waits for it can be caught waiting.
struct Silent(UdpSocket);

impl Silent {
    fn new() -> Silent {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket can be so");
        Silent(socket)
    }

    /// Adds a server whose name only it knows.
    fn asked_by(&self, setup: Setup) -> Setup {
        let address = self.0.local_addr().expect("it is bound");
        setup
            .server_at("named", "web.test:80", "resolvers = \"silent\"")
            .more(&format!("[resolvers.silent]\nnameservers = [\"udp@{address}\"]\n"))
    }

    /// Waits until it is asked.
    #[track_caller]
    fn wait(&self) {
        self.0.recv_from(&mut [0; 1_500]).expect("a question");
    }
}

fn run(config: &Path) -> Command {
    lb(&["run", config.to_str().expect("a path that is text")])
}

/// A file that holds up whoever reads it.
struct Fifo(PathBuf);

impl Fifo {
    fn new(directory: &Directory) -> Fifo {
        let path = directory.path("lb.toml");
        let text = CString::new(path.as_os_str().as_bytes()).expect("no zero in it");
        // SAFETY: the call reads the text, which ends in a zero.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0, "a pipe");
        Fifo(path)
    }

    /// Waits for the reader, who waits for what is written from then on.
    #[track_caller]
    fn reader(&self) -> File {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        until("somebody reads", || options.open(&self.0).ok())
    }
}

fn count(proxy: &Proxy, text: &str) -> usize {
    proxy.log.all().iter().filter(|line| line.contains(text)).count()
}

#[test]
fn signals_while_the_program_starts_do_not_kill_it_and_a_hangup_leads_to_one_reload() {
    let a = origin("a").start();
    for signal in [Signal::Hangup, Signal::User1, Signal::User2] {
        let (names, directory) = (Silent::new(), Directory::new());
        let config = directory.write("lb.toml", names.asked_by(proxy().server(&a)).text());
        let mut process = Process::start(run(&config));
        let (log, errors) = process.output();
        names.wait();
        (0..3).for_each(|_| process.signal(signal));
        let mut proxy = Proxy::ready(process, log, errors, directory);
        if matches!(signal, Signal::Hangup) {
            proxy.log.wait("reloaded addresses=");
        }
        assert_eq!(get(proxy.address(), "/").text(), "a");
        proxy.reload(&proxy_of(&a));
        let reloads = if matches!(signal, Signal::Hangup) { 2 } else { 1 };
        assert_eq!(count(&proxy, "reloaded addresses="), reloads);
        assert_eq!(proxy.terminate().code(), Some(0));
    }
}

fn proxy_of(origin: &super::kit::Origin) -> Setup {
    proxy().server(origin)
}

#[test]
fn signals_that_the_parent_process_had_blocked_are_heeded() {
    let (a, directory) = (origin("a").start(), Directory::new());
    let config = directory.write("lb.toml", proxy().server(&a).text());
    let mut command = run(&config);
    // SAFETY: these are system calls and nothing else.
    unsafe {
        command.pre_exec(|| {
            let mut all = std::mem::MaybeUninit::uninit();
            libc::sigfillset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
            Ok(())
        });
    }
    let mut process = Process::start(command);
    // Before its first line, for all that anybody knows.
    process.signal(Signal::Hangup);
    let (log, errors) = process.output();
    let mut proxy = Proxy::ready(process, log, errors, directory);
    proxy.log.wait("reloaded addresses=");
    assert_eq!(get(proxy.address(), "/").text(), "a");
    assert_eq!(proxy.terminate().code(), Some(0));
}

#[test]
fn a_start_is_broken_off_in_order() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        // While names are looked up.
        let (names, directory) = (Silent::new(), Directory::new());
        let config = directory.write("lb.toml", names.asked_by(proxy()).text());
        let mut process = Process::start(run(&config));
        let (log, _) = process.output();
        names.wait();
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(0));
        log.wait("draining");
        log.wait("ended");

        // While the configuration is read, which takes for ever here.
        let directory = Directory::new();
        let fifo = Fifo::new(&directory);
        let mut process = Process::start(run(&fifo.0));
        let errors = process.errors();
        let _reader = fifo.reader();
        process.signal(Signal::Hangup);
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(0));
        errors.wait("ended by a signal before it served");
    }
}

#[test]
fn a_reload_is_broken_off_by_the_end_and_serves_until_then() {
    let (a, names) = (origin("a").start(), Silent::new());
    let mut proxy = proxy().server(&a).start();
    proxy.directory.write("lb.toml", names.asked_by(proxy_of(&a)).text());
    proxy.process.signal(Signal::Hangup);
    names.wait();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    assert_eq!(proxy.terminate().code(), Some(0));
    proxy.log.wait("ended");
}

#[test]
fn commands_that_end_by_themselves_are_interrupted_like_any_program() {
    let signals = [(Signal::Interrupt, 2), (Signal::Terminate, 15), (Signal::Hangup, 1)];
    for (signal, number) in signals {
        let directory = Directory::new();
        let fifo = Fifo::new(&directory);
        let mut process = Process::start(lb(&["check", fifo.0.to_str().expect("a path that is text")]));
        let _reader = fifo.reader();
        process.signal(signal);
        assert_eq!(process.wait().signal(), Some(number));
    }
}

#[test]
fn a_command_whose_reader_has_gone_ends_without_a_word() {
    let directory = Directory::new();
    let fifo = Fifo::new(&directory);
    let mut command = lb(&["check", fifo.0.to_str().expect("a path that is text")]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let text = proxy().server_at("a", "127.0.0.1:1", "").text();
    fifo.reader().write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_program_serves_though_nobody_reads_what_it_says() {
    let (a, directory) = (origin("a").start(), Directory::new());
    let socket = directory.path("front.sock");
    // A server without a timeout is a warning on stderr.
    let text = format!(
        "[global]\nlog = \"stdout\"\n[frontends.web]\nbind = \"unix@{}\"\ndefault_backend = \"app\"\n[backends.app]\n\
         servers = [{{ name = \"a\", address = \"{}\" }}]\n",
        socket.display(),
        a.address()
    );
    let config = directory.write("lb.toml", text);
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let mut command = run(&config);
    command.stdout(closed()).stderr(closed());
    let mut process = Process::spawn(command);
    until("it listens", || {
        assert!(!process.has_ended());
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    assert_eq!(get(&format!("unix@{}", socket.display()), "/").text(), "a");
    process.signal(Signal::Terminate);
    assert_eq!(process.wait().code(), Some(0));
}

//! The program as a process: its output, its signals, its end.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use super::until;

/// Lines of output, as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Collects lines until the source ends.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let collected = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { return };
                collected.push(line);
            }
        });
        lines
    }

    pub(crate) fn push(&self, line: String) {
        self.0.lock().expect("no panic").push(line);
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    /// Waits for the first line from the one of this number on that `matches`.
    #[track_caller]
    pub(crate) fn wait_from(&self, first: usize, what: &str, matches: impl Fn(&str) -> bool) -> String {
        until(&format!("the log says {what:?}"), || {
            let lines = self.0.lock().expect("no panic");
            lines.iter().skip(first).find(|line| matches(line)).cloned()
        })
    }

    /// Waits for a line with this text in it.
    #[track_caller]
    pub(crate) fn wait(&self, text: &str) -> String {
        self.wait_from(0, text, |line| line.contains(text))
    }
}

/// A signal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Hangup,
    Interrupt,
    Terminate,
    User1,
    User2,
}

/// The program, running; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
}

/// The program, about to be started, with a cache of compiled policies that all tests share.
pub(crate) fn lb(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb"));
    command.args(arguments).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
        .env_remove("LB_LOG")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .env_remove("NOTIFY_SOCKET");
    command
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Process::spawn(command)
    }

    /// Starts it with the streams that the command has.
    pub(crate) fn spawn(mut command: Command) -> Process {
        // SAFETY: these are system calls and nothing else. The program is killed where the test's thread ends without having
        // dropped it, and takes signals as programs do, though nohup or a shell in the background had the tests ignore some.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                for signal in [libc::SIGHUP, libc::SIGINT] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        Process { child: command.spawn().expect("the program starts") }
    }

    /// The lines of stdout, and of stderr.
    pub(crate) fn output(&mut self) -> (Lines, Lines) {
        let stdout = self.child.stdout.take().expect("stdout has not been taken");
        let stderr = self.child.stderr.take().expect("stderr has not been taken");
        (Lines::of(stdout), Lines::of(stderr))
    }

    /// The lines of stderr; nobody reads stdout.
    pub(crate) fn errors(&mut self) -> Lines {
        Lines::of(self.child.stderr.take().expect("stderr has not been taken"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let number = match signal {
            Signal::Hangup => libc::SIGHUP,
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
            Signal::User1 => libc::SIGUSR1,
            Signal::User2 => libc::SIGUSR2,
        };
        // SAFETY: the process is this one's child and has not been waited for, so that the number is its own.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, number) };
        assert_eq!(sent, 0, "the process takes a signal");
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the program has ended", || self.child.try_wait().expect("a child can be waited for"))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that ends by itself: its exit code, stdout and stderr.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = lb(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

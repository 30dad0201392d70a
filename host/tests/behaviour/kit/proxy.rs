//! The program under test: a configuration in the making, and the process that runs it.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use super::process::{Lines, Process, Signal, lb};
use super::{Directory, LogLine, Origin, until};

/// A configuration with one frontend, `web`, and one backend, `app`.
#[derive(Clone)]
pub(crate) struct Setup {
    global: String,
    defaults: String,
    timeouts: BTreeMap<String, String>,
    binds: Vec<String>,
    frontend: String,
    backend: String,
    servers: String,
    more: String,
}

/// A configuration on one port of the loopback interface; everything is logged to stdout.
pub(crate) fn proxy() -> Setup {
    let timeouts = ["connect", "client", "server"].map(|name| (name.to_owned(), "30s".to_owned()));
    Setup {
        global: String::new(),
        defaults: "log = \"global\"\nhttplog = true\ndontlognull = true\n".to_owned(),
        timeouts: timeouts.into(),
        binds: vec!["\"127.0.0.1:0\"".to_owned()],
        frontend: String::new(),
        backend: String::new(),
        servers: String::new(),
        more: String::new(),
    }
}

impl Setup {
    /// Adds a line to `[global]`.
    pub(crate) fn global(mut self, line: &str) -> Setup {
        self.global += &format!("{line}\n");
        self
    }

    /// Logs each connection, even one that carried nothing.
    pub(crate) fn log_null(mut self) -> Setup {
        self.defaults = self.defaults.replace("dontlognull = true\n", "");
        self
    }

    pub(crate) fn timeout(mut self, name: &str, duration: &str) -> Setup {
        self.timeouts.insert(name.to_owned(), duration.to_owned());
        self
    }

    /// Listens here too; an address, or a table.
    pub(crate) fn bind(mut self, bind: &str) -> Setup {
        self.binds.push(if bind.starts_with('{') { bind.to_owned() } else { format!("{bind:?}") });
        self
    }

    /// Listens here alone.
    pub(crate) fn only_bind(mut self, bind: &str) -> Setup {
        self.binds.clear();
        self.bind(bind)
    }

    /// Adds a line to the frontend.
    pub(crate) fn frontend(mut self, line: &str) -> Setup {
        self.frontend += &format!("{line}\n");
        self
    }

    /// Adds a line to the backend.
    pub(crate) fn backend(mut self, line: &str) -> Setup {
        self.backend += &format!("{line}\n");
        self
    }

    /// Checks servers by their status, often; one failure takes them DOWN, five passes bring them UP.
    pub(crate) fn checked(self) -> Setup {
        // A check that is slow because the machine is busy has not failed.
        self.timeout("check", "30s").backend(
            "httpchk = \"GET /status\"\n\
             default_server = { check = true, inter = \"50ms\", fall = 1, rise = 5 }",
        )
    }

    /// Adds a server.
    pub(crate) fn server(self, origin: &Origin) -> Setup {
        self.server_with(origin, "")
    }

    /// Adds a server with more lines.
    pub(crate) fn server_with(self, origin: &Origin, lines: &str) -> Setup {
        self.server_at(origin.name(), &origin.address(), lines)
    }

    /// Adds a server by its address.
    pub(crate) fn server_at(mut self, name: &str, address: &str, lines: &str) -> Setup {
        self.servers +=
            &format!("[[backends.app.servers]]\nname = {name:?}\naddress = {address:?}\n{lines}\n");
        self
    }

    /// Adds sections.
    pub(crate) fn more(mut self, text: &str) -> Setup {
        self.more += text;
        self
    }

    /// The configuration's text.
    pub(crate) fn text(&self) -> String {
        let Setup { global, defaults, timeouts, binds, frontend, backend, servers, more } = self;
        let threads = if global.contains("nbthread") { "" } else { "nbthread = 2\n" };
        let log = if global.contains("log =") { "" } else { "log = \"stdout\"\n" };
        let timeouts: String =
            timeouts.iter().map(|(name, duration)| format!("timeout.{name} = {duration:?}\n")).collect();
        format!(
            "[global]\n{threads}{log}{global}\n[defaults]\n{defaults}{timeouts}\n[frontends.web]\nbind = [{}]\n\
             default_backend = \"app\"\n{frontend}\n[backends.app]\n{backend}\n{servers}\n{more}",
            binds.join(", ")
        )
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Proxy {
        self.start_in(Directory::new())
    }

    /// Starts with its configuration in a directory that the test has prepared.
    #[track_caller]
    pub(crate) fn start_in(&self, directory: Directory) -> Proxy {
        let config = directory.write("lb.toml", self.text());
        let command = lb(&["run", config.to_str().expect("a path that is text")]);
        let mut process = Process::start(command);
        let (log, errors) = process.output();
        Proxy::ready(process, log, errors, directory)
    }
}

/// The running program.
pub(crate) struct Proxy {
    pub(crate) process: Process,
    pub(crate) log: Lines,
    pub(crate) errors: Lines,
    pub(crate) addresses: Vec<String>,
    pub(crate) directory: Directory,
}

impl Proxy {
    /// Waits until the program says that it is ready.
    #[track_caller]
    pub(crate) fn ready(mut process: Process, log: Lines, errors: Lines, directory: Directory) -> Proxy {
        let line = until("the program is ready", || {
            assert!(!process.has_ended() || !log.all().is_empty(), "it ended: {}", errors.all().join("\n"));
            log.all().into_iter().find(|line| line.contains("ready addresses="))
        });
        Proxy { addresses: addresses(&line), process, log, errors, directory }
    }

    /// Where it listens; of several addresses the first in the order of their text.
    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// Puts another configuration into force, and learns the addresses anew.
    #[track_caller]
    pub(crate) fn reload(&mut self, setup: &Setup) {
        let line = self.hang_up(setup, "reloaded addresses=");
        self.addresses = addresses(&line);
    }

    /// Has it read another configuration, and waits until the log says `outcome`.
    #[track_caller]
    pub(crate) fn hang_up(&mut self, setup: &Setup, outcome: &str) -> String {
        let lines = self.log.all().len();
        self.directory.write("lb.toml", setup.text());
        self.process.signal(Signal::Hangup);
        self.log.wait_from(lines, outcome, |line| line.contains(outcome))
    }

    /// Ends it by SIGTERM.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::Terminate);
        self.process.wait()
    }

    /// The exchanges logged so far.
    pub(crate) fn exchanges(&self) -> Vec<LogLine> {
        self.log.all().iter().filter_map(|line| LogLine::parse(line)).collect()
    }

    /// Waits for the log line of an exchange by its path, or by `<BADREQ>`.
    #[track_caller]
    pub(crate) fn exchange(&self, path: &str) -> LogLine {
        until(&format!("{path} is logged"), || {
            self.exchanges().into_iter().find(|exchange| exchange.path() == path)
        })
    }
}

impl Drop for Proxy {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (log, errors) = (self.log.all(), self.errors.all());
            let first = log.len().saturating_sub(40);
            eprintln!("the log:\n{}\nstderr:\n{}", log[first..].join("\n"), errors.join("\n"));
        }
    }
}

/// The addresses that a log line names.
fn addresses(line: &str) -> Vec<String> {
    let (_, list) = line.split_once("addresses=").expect("a line with addresses");
    list.trim_matches('"').split(", ").map(str::to_owned).collect()
}

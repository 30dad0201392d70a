//! What a configuration may come to need of the system, held against what the system allows: for `lb check`, and for the
//! warnings at a start. Bounds that are found out under load are found out too late.

use crate::config::Problem;
use crate::config::model::{BindAddress, Config, Protocol, ServerAddress};
use crate::exchange::transfer;
use crate::{http2, linger, open_files, splice, upstream};

/// Descriptors beside those of connections: standard streams, runtimes, logs, policies' files, signals.
const RESERVE: u64 = 100;
/// What an exchange holds beside its two buffers, in bytes: both sockets, its task, its heads.
const CONNECTION: u64 = 16 * 1024;
/// What a connection of HTTP/2 holds beside its exchanges, the bodies that came and what goes out: what is being read, a head
/// that is not whole, a table of headers.
const HTTP2: u64 = 64 * 1024;

/// What the system allows this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    /// The most open files, however far the process may raise its own limit (RLIMIT_NOFILE, the hard one).
    files: u64,
    /// The longest queue of connections not yet accepted (net.core.somaxconn); `None` where it cannot be read.
    somaxconn: Option<u64>,
    /// Local ports for connections to one server's address (net.ipv4.ip_local_port_range); `None` likewise.
    ports: Option<u64>,
    /// Memory of the machine, or of the control group where that is less, in bytes; `None` likewise.
    memory: Option<u64>,
}

impl System {
    /// The one that this runs on.
    pub(crate) fn read() -> System {
        let text = |path: &str| std::fs::read_to_string(path).ok();
        let number = |path: &str| text(path)?.trim().parse::<u64>().ok();
        let ports = || {
            let range = text("/proc/sys/net/ipv4/ip_local_port_range")?;
            let (low, high) = range.trim().split_once(char::is_whitespace)?;
            Some((high.trim().parse::<u64>().ok()? + 1).saturating_sub(low.parse().ok()?))
        };
        let total = || {
            let info = text("/proc/meminfo")?;
            let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        System {
            files: open_files::hard_limit(),
            somaxconn: number("/proc/sys/net/core/somaxconn"),
            ports: ports(),
            memory: [total(), number("/sys/fs/cgroup/memory.max")].into_iter().flatten().min(),
        }
    }
}

/// What `config` may need and the system does not have.
pub(crate) fn shortages(config: &Config, system: &System) -> Vec<Problem> {
    [files(config, system), backlog(config, system), memory(config, system)]
        .into_iter()
        .flatten()
        .chain(ports(config, system))
        .collect()
}

/// How many exchanges there may be at once for each client that there may be. Those of HTTP/2 may have as many together,
/// and one each beside.
fn exchanges_for_each(config: &Config) -> u64 {
    if config.frontends.iter().any(|frontend| frontend.http2.is_some()) { 2 } else { 1 }
}

/// What a client may make the process hold, in bytes, with its share of the exchanges.
fn memory_for_each(config: &Config) -> u64 {
    let windows = config.frontends.iter().filter_map(|frontend| frontend.http2.as_ref());
    let larger = windows.max_by_key(|http2| http2.initial_connection_window_size);
    // A body that fills its buffer makes it grow.
    let buffer = config.global.tune.bufsize.max(transfer::LARGE) as u64;
    let mut exchange = 2 * buffer + CONNECTION;
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    if servers.clone().any(|server| server.protocol == Protocol::Http2) {
        exchange += upstream::http2::MEMORY as u64;
    }
    let Some(settings) = larger else { return exchange };
    HTTP2
        + 2 * http2::OUTPUT as u64
        + u64::from(settings.max_frame_size)
        + u64::from(settings.initial_connection_window_size)
        + exchanges_for_each(config) * exchange
}

/// How many clients may be connected at once: as many as the configuration says, and no more than there are open files
/// for, with their exchanges. Accepting goes no further: clients that no server can be reached for would be turned away,
/// where in the backlog they only wait.
pub(crate) fn most_connections(config: &Config) -> u32 {
    let fit = connections_that_fit(config, open_files::hard_limit());
    config.global.maxconn.map_or(fit, |maxconn| maxconn.min(fit))
}

/// How many clients so many open files are enough for; one at least.
fn connections_that_fit(config: &Config, files: u64) -> u32 {
    // Where files are scarce, fewer clients are heard out, and there are fewer pipes.
    let heard_out = files_of_clients_heard_out(config).min(files / 8);
    let pipes = splice::files(config.global.nbthread, files);
    let left = files.saturating_sub(files_beside_clients(config) + heard_out + pipes);
    u32::try_from(left / files_for_each(config)).unwrap_or(u32::MAX).max(1)
}

/// The open files that a client may need.
fn files_for_each(config: &Config) -> u64 {
    1 + exchanges_for_each(config)
}

/// The open files that are needed whoever comes: one for a listening socket of a worker, one for a health check.
fn files_beside_clients(config: &Config) -> u64 {
    let listeners: usize = config.frontends.iter().map(|frontend| frontend.bind.len()).sum();
    let checks = config.backends.iter().flat_map(|backend| &backend.servers);
    let checks = checks.filter(|server| server.check.is_some()).count();
    (listeners * config.global.nbthread + checks) as u64 + RESERVE
}

/// Those of clients that have their answer and are heard out.
fn files_of_clients_heard_out(config: &Config) -> u64 {
    (config.global.nbthread * linger::MOST) as u64
}

fn files(config: &Config, system: &System) -> Option<Problem> {
    let (maxconn, files) = (config.global.maxconn?, system.files);
    let fit = connections_that_fit(config, files);
    if fit >= maxconn {
        return None;
    }
    let pipes = splice::files(config.global.nbthread, u64::MAX);
    let beside = files_beside_clients(config) + files_of_clients_heard_out(config) + pipes;
    let needed = files_for_each(config) * u64::from(maxconn) + beside;
    let message = format!(
        "`maxconn = {maxconn}` may need {needed} open files, and this process may have {files} at most: no more than \
         {fit} clients are let in at once"
    );
    let help = format!(
        "raise the hard limit (`LimitNOFILE={needed}` in a systemd unit, `ulimit -Hn {needed}` in a shell), or set \
         `maxconn` to {fit}"
    );
    Some(Problem::warning(None, message).help(help))
}

fn backlog(config: &Config, system: &System) -> Option<Problem> {
    let somaxconn = system.somaxconn?;
    let listens = |frontend: &&crate::config::model::Frontend| {
        frontend.bind.iter().any(|bind| !matches!(bind.address, BindAddress::Fd(_)))
    };
    let frontend =
        config.frontends.iter().filter(listens).find(|frontend| u64::from(frontend.backlog) > somaxconn)?;
    let (name, backlog) = (&frontend.name, frontend.backlog);
    let message = format!(
        "frontend `{name}` asks for a backlog of {backlog}, and the system cuts it to {somaxconn}: in a burst more \
         clients than that are turned away before they are seen"
    );
    let help = format!("`sysctl net.core.somaxconn={backlog}`, or a smaller `backlog`");
    Some(Problem::warning(None, message).help(help))
}

fn memory(config: &Config, system: &System) -> Option<Problem> {
    let memory = system.memory?;
    let maxconn = config.global.maxconn?;
    let needed = u64::from(maxconn).checked_mul(memory_for_each(config))?;
    if needed <= memory {
        return None;
    }
    let mib = |bytes: u64| bytes >> 20;
    let message = format!(
        "`maxconn = {maxconn}` may need {} MiB while all are busy, and there are {} MiB",
        mib(needed),
        mib(memory)
    );
    let help = if exchanges_for_each(config) > 1 {
        "a smaller `maxconn`; over HTTP/2 a client may hold more than over HTTP/1.1: `h2 = { \
         initial_connection_window_size = \"64k\" }`, or `h2 = false`"
    } else {
        "a smaller `maxconn`, or a smaller `tune.bufsize`"
    };
    Some(Problem::warning(None, message).help(help))
}

/// Backends whose servers cannot be given as many connections as clients may ask for: each address of a server has the
/// local ports once.
fn ports<'a>(config: &'a Config, system: &'a System) -> impl Iterator<Item = Problem> + 'a {
    let (ports, maxconn) = (system.ports, config.global.maxconn.map(u64::from));
    config.backends.iter().filter_map(move |backend| {
        let (ports, maxconn) = (ports?, maxconn?);
        // A Unix socket needs none, and several servers may share an address only by mistake.
        if backend.servers.iter().any(|server| matches!(server.address, ServerAddress::Unix(_))) {
            return None;
        }
        let bound = |server: &crate::config::model::Server| {
            server.maxconn.map_or(ports, |maxconn| u64::from(maxconn).min(ports))
        };
        let all_bound = backend.servers.iter().all(|server| server.maxconn.is_some());
        let room: u64 = backend.servers.iter().map(bound).sum();
        if backend.servers.is_empty() || room >= maxconn || all_bound {
            return None;
        }
        let message = format!(
            "backend `{}` can have {room} connections to its servers, one for each local port, and `maxconn = {maxconn}` \
             lets more clients in",
            backend.name
        );
        let help = "more servers or addresses, a wider `net.ipv4.ip_local_port_range`, or a `maxconn` for each server, so \
                    that the excess queues";
        Some(Problem::warning(None, message).help(help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const PLENTY: System =
        System { files: 1 << 20, somaxconn: Some(65_535), ports: Some(28_232), memory: Some(1 << 40) };

    fn found(global: &str, server: &str, system: &System) -> Vec<String> {
        found_with(global, "", server, system)
    }

    fn found_with(global: &str, defaults: &str, server: &str, system: &System) -> Vec<String> {
        let text = format!(
            "[global]\nnbthread = 2\n{global}\n[defaults]\n{defaults}\ntimeout = {{ connect = \"5s\", client = \"10s\", server = \
             \"10s\" }}\n[frontends.web]\nbind = \"127.0.0.1:80\"\nbacklog = 4096\ndefault_backend = \
             \"app\"\n[backends.app]\nservers = [{{ name = \"a\", address = \"127.0.0.1:81\", check = true{server} }}]\n"
        );
        let config = config::parse(&text, "lb.toml").unwrap().config;
        shortages(&config, system).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn with_plenty_of_everything_there_is_nothing_to_say() {
        assert_eq!(found("maxconn = 4096", "", &PLENTY), [""; 0]);
        assert_eq!(found("", "", &System { files: 10, memory: Some(1), ..PLENTY }), [""; 0]);
    }

    #[test]
    fn open_files_are_one_a_client_one_an_exchange_and_some() {
        let needed = 3 * 4096 + 2 * (1 + linger::MOST as u64 + 2 * splice::MOST as u64) + 1 + RESERVE;
        assert_eq!(found("maxconn = 4096", "", &System { files: needed, ..PLENTY }), [""; 0]);
        let short = found("maxconn = 4096", "", &System { files: needed - 1, ..PLENTY });
        assert_eq!(
            short,
            [format!(
                "`maxconn = 4096` may need {needed} open files, and this process may have {} at most: no more than \
                 4095 clients are let in at once",
                needed - 1
            )]
        );
    }

    #[test]
    fn as_many_clients_are_let_in_as_there_are_open_files_for() {
        let text = "[defaults]\ntimeout = { connect = \"5s\", client = \"10s\", server = \"10s\" }\n\
                    [frontends.web]\nbind = \"127.0.0.1:80\"\ndefault_backend = \"app\"\n\
                    [backends.app]\nservers = [{ name = \"a\", address = \"127.0.0.1:81\" }]\n[global]\nnbthread = 2\n";
        let config = config::parse(text, "lb.toml").unwrap().config;
        let for_all = 2 * (1 + linger::MOST as u64 + 2 * splice::MOST as u64) + RESERVE;
        assert_eq!(connections_that_fit(&config, 3 * 5_000 + for_all), 5_000);
        assert_eq!(connections_that_fit(&config, 400), (400 - 2 - 50 - 25 - RESERVE as u32) / 3);
        assert_eq!(connections_that_fit(&config, 10), 1);
        assert_eq!(connections_that_fit(&config, u64::MAX), u32::MAX);
        let bounded = config::parse(&format!("{text}maxconn = 7\n"), "lb.toml").unwrap().config;
        assert_eq!(most_connections(&bounded), 7);
    }

    #[test]
    fn a_backlog_that_the_system_cuts_is_said() {
        let short = found("", "", &System { somaxconn: Some(128), ..PLENTY });
        assert!(
            short[0].starts_with("frontend `web` asks for a backlog of 4096, and the system cuts it to 128")
        );
    }

    #[test]
    fn one_server_has_no_more_connections_than_there_are_ports() {
        let short = found("maxconn = 30000", "", &PLENTY);
        assert!(short[0].starts_with("backend `app` can have 28232 connections to its servers"), "{short:?}");
        // A bound of the server's own is a queue that was asked for.
        assert_eq!(found("maxconn = 30000", ", maxconn = 100", &PLENTY), [""; 0]);
    }

    #[test]
    fn buffers_for_all_must_fit_into_memory() {
        const KIB: u64 = 1024;
        let one = 2 * 64 * KIB + CONNECTION;
        let both = HTTP2 + 256 * KIB + 2 * 64 * KIB + 16 * KIB + 2 * one;
        let to_http2 = upstream::http2::MEMORY as u64;
        let newer = ", proto = \"h2\"";
        for (older, server, each) in [
            ("", "", both),
            ("", newer, both + 2 * to_http2),
            ("h2 = false", "", one),
            ("h2 = false", newer, one + to_http2),
            (
                "h2 = { initial_connection_window_size = \"1M\", max_frame_size = \"32k\" }",
                "",
                both + 768 * KIB + 16 * KIB,
            ),
        ] {
            let needed = 4096 * each;
            let found = |memory| {
                found_with("maxconn = 4096", older, server, &System { memory: Some(memory), ..PLENTY })
            };
            assert_eq!(found(needed), [""; 0], "{older} {server}");
            let short = found(needed - 1);
            let (need, have) = (needed >> 20, (needed - 1) >> 20);
            assert_eq!(
                short,
                [format!(
                    "`maxconn = 4096` may need {need} MiB while all are busy, and there are {have} MiB"
                )],
                "{older} {server}"
            );
        }
    }

    #[test]
    fn this_system_can_be_read() {
        let system = System::read();
        assert!(system.files > 0 && system.ports.is_some_and(|ports| ports > 1000), "{system:?}");
        assert!(system.memory.is_some_and(|memory| memory > 1 << 20), "{system:?}");
    }
}

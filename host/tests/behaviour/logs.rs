//! Where log lines go, and that nobody waits for them.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use super::kit::{Directory, LogLine, PATIENCE, Process, Signal, client, get, lb, origin, proxy, until};

#[test]
fn each_exchange_is_one_line_with_true_figures() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    let answers: Vec<_> = (0..5).map(|turn| client.get(&format!("/{turn}"))).collect();
    for (turn, answer) in answers.iter().enumerate() {
        let line = proxy.exchange(&format!("/{turn}"));
        let head: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let bytes = answer.start.len() + 2 + head + 2 + answer.body.len();
        assert_eq!((line.frontend.as_str(), line.server.as_str()), ("web", "app/a"));
        assert_eq!((line.status, line.bytes), (200, bytes as u64), "{}", line.line);
        assert_eq!((line.state.as_str(), line.retries.as_str()), ("----", "0"));
        assert_eq!(line.request, format!("GET /{turn} HTTP/1.1"));
        assert_eq!(line.counts, [1, 1, 0, 0], "{}", line.line);
        let sum: i64 = line.timers[..4].iter().sum();
        assert!(line.timers.iter().all(|timer| *timer >= 0) && sum <= line.timers[4] + 4, "{}", line.line);
    }
    assert_eq!(proxy.exchanges().len(), 5);
}

#[test]
fn control_characters_of_a_client_do_not_reach_the_log() {
    let a = origin("a").start();
    let proxy = proxy().server(&a).start();
    client(proxy.address()).send("GET /\u{1b}[31m HTTP/1.1\r\nhost: test\r\n\r\n");
    until("it is logged", || (!proxy.exchanges().is_empty()).then_some(()));
    assert!(proxy.log.all().iter().all(|line| !line.contains('\u{1b}')));
}

#[test]
fn a_connection_without_data_is_logged_only_without_dontlognull() {
    let a = origin("a").start();
    let silent = proxy().server(&a).start();
    let loud = proxy().server(&a).log_null().start();
    for proxy in [&silent, &loud] {
        drop(client(proxy.address()));
        assert_eq!(get(proxy.address(), "/").text(), "a");
    }
    let line = loud.exchange("<BADREQ>");
    assert!(line.state.starts_with("CR"), "{}", line.line);
    silent.exchange("/");
    assert_eq!(silent.exchanges().len(), 1);
}

#[test]
fn a_log_file_is_appended_to_and_opened_anew_on_request() {
    let directory = Directory::new();
    let (path, moved) = (directory.path("lb.log"), directory.path("lb.log.1"));
    let a = origin("a").start();
    let proxy = proxy().global("log = [\"stdout\", \"file:lb.log\"]").server(&a).start_in(directory);
    let lines = |path: &std::path::Path| -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    get(proxy.address(), "/before");
    until("it is in the file", || lines(&path).iter().any(|line| line.contains("/before")).then_some(()));
    fs::rename(&path, &moved).expect("the file is there");
    proxy.process.signal(Signal::User1);
    until("there is a new file", || path.exists().then_some(()));
    get(proxy.address(), "/after");
    until("it is in the new file", || lines(&path).iter().any(|line| line.contains("/after")).then_some(()));
    assert!(!lines(&moved).iter().any(|line| line.contains("/after")));
}

#[test]
fn syslog_gets_a_datagram_for_each_line() {
    let directory = Directory::new();
    let (old, new) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (old, new) = (old.expect("a free port"), new.expect("a free port"));
    let local = UnixDatagram::bind(directory.path("log.sock")).expect("a free path");
    let address = |socket: &UdpSocket| socket.local_addr().expect("it is bound");
    let log = format!(
        "log = [\"stdout\", {{ target = \"udp@{}\", format = \"rfc3164\", facility = \"local3\", tag = \"edge\" }}, \
         {{ target = \"udp@{}\", format = \"rfc5424\" }}, \"unix@{}\"]",
        address(&old),
        address(&new),
        directory.path("log.sock").display(),
    );
    let a = origin("a").start();
    let proxy = proxy().global(&log).server(&a).start_in(directory);
    get(proxy.address(), "/logged");
    let mut buffer = [0; 4096];
    let mut find = |receive: &dyn Fn(&mut [u8]) -> std::io::Result<usize>| loop {
        let length = receive(&mut buffer).expect("a datagram");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.contains("/logged") {
            return text;
        }
    };
    for socket in [&old, &new] {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket can be so");
    }
    local.set_read_timeout(Some(PATIENCE)).expect("a socket can be so");
    // Facility 19, level 6 (info).
    let line = find(&|space| old.recv(space));
    assert!(line.starts_with("<158>") && line.contains(" edge["), "{line}");
    let line = find(&|space| new.recv(space));
    assert!(line.starts_with("<134>1 "), "{line}");
    let line = find(&|space| local.recv(space));
    assert!(line.starts_with("<134>"), "{line}");
}

#[test]
fn a_reader_of_the_log_that_never_reads_slows_nobody() {
    let a = origin("a").start();
    let directory = Directory::new();
    let setup = proxy().global("log = [\"stdout\", \"file:lb.log\"]").server(&a);
    let config = directory.write("lb.toml", setup.text());
    let mut process = Process::start(lb(&["run", config.to_str().expect("a path that is text")]));
    // Stdout is a pipe of 64 KiB that nobody empties.
    let _errors = process.errors();
    let log = || fs::read_to_string(directory.path("lb.log")).unwrap_or_default();
    let address = until("the program is ready", || {
        let log = log();
        let line = log.lines().find_map(|line| line.strip_prefix("ready addresses="))?;
        log.contains('\n').then(|| line.to_owned())
    });
    let mut client = client(&address);
    let path = format!("/{}", "x".repeat(500));
    for _ in 0..1000 {
        assert_eq!(client.get(&path).text(), "a");
    }
    // Half a megabyte of lines has nowhere to go on stdout; the other target still gets all of them.
    until("the file has its lines", || {
        (log().lines().filter_map(LogLine::parse).count() == 1000).then_some(())
    });
}

#[test]
fn a_frontend_logs_where_it_says_and_below_its_level_nowhere() {
    let a = origin("a").start();
    let quiet = proxy().frontend("log = []").server(&a).start();
    assert_eq!(get(quiet.address(), "/").text(), "a");
    let level = proxy().global("log = { target = \"stdout\", level = \"notice\" }").server(&a).start();
    assert_eq!(get(level.address(), "/").text(), "a");
    for mut proxy in [quiet, level] {
        assert!(proxy.terminate().success());
        proxy.log.wait("draining");
        assert_eq!(proxy.exchanges().len(), 0);
    }
}

#[test]
fn a_log_file_may_be_a_link_of_ones_own_and_none_of_somebody_elses() {
    let a = origin("a").start();
    let directory = Directory::new();
    let (target, link) = (directory.path("target.log"), directory.path("lb.log"));
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    std::os::unix::fs::symlink("/dev/stdout", directory.path("out.log")).expect("a link");
    let setup = proxy().global("log = [\"file:out.log\", \"file:lb.log\"]").server(&a);
    let proxy = setup.start_in(directory);
    get(proxy.address(), "/linked");
    proxy.exchange("/linked");
    until("it is where the link leads", || {
        fs::read_to_string(&target).is_ok_and(|text| text.contains("GET /linked")).then_some(())
    });
    drop(proxy);
    // Only root can make a link somebody else's.
    let directory = Directory::new();
    let victim = directory.write("victim", "");
    let link = directory.path("lb.log");
    std::os::unix::fs::symlink(&victim, &link).expect("a link");
    if std::os::unix::fs::lchown(&link, Some(12_345), None).is_ok() {
        let config =
            directory.write("lb.toml", super::kit::proxy().global("log = \"file:lb.log\"").server(&a).text());
        let (code, _, errors) = super::kit::run(&["run", config.to_str().expect("a path that is text")]);
        assert_eq!(code, 1);
        assert!(
            errors.contains("lb.log is a symbolic link of user 12345, which is not followed"),
            "{errors}"
        );
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "");
    }
}

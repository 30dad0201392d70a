//! Other sockets than TCP ones that the program binds: Unix sockets, inherited ones, IPv6.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;

use super::kit::{Directory, PATIENCE, Process, Proxy, client, get, lb, origin, proxy};

/// What the inherited socket is known by, as with systemd.
const INHERITED: i32 = 3;

#[test]
fn clients_come_and_servers_listen_on_unix_sockets() {
    let directory = Directory::new();
    let a = origin("a").unix(&directory.path("origin.sock")).start();
    let front = format!("unix@{}", directory.path("front.sock").display());
    let proxy = proxy().bind(&front).frontend("forwardfor = true").server(&a).start_in(directory);
    assert_eq!(get(&front, "/unix").text(), "a");
    assert_eq!(get(proxy.address(), "/tcp").text(), "a");
    assert_eq!(a.requests()[0].all("x-forwarded-for"), Vec::<&str>::new(), "there is no address to tell");
    assert!(proxy.exchange("/unix").line.starts_with("unix:1 "));
}

#[test]
fn a_unix_socket_that_was_left_behind_is_no_hindrance() {
    let directory = Directory::new();
    let path = directory.path("front.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket, left behind"));
    let a = origin("a").start();
    let front = format!("unix@{}", path.display());
    let _proxy = proxy().only_bind(&front).server(&a).start_in(directory);
    assert_eq!(get(&front, "/").text(), "a");
}

#[test]
fn a_unix_socket_has_the_mode_that_is_said_and_goes_when_nobody_listens() {
    use std::os::unix::fs::MetadataExt;
    let directory = Directory::new();
    let (path, other) = (directory.path("front.sock"), directory.path("other.sock"));
    let a = origin("a").start();
    let bind =
        |path: &std::path::Path, keys: &str| format!("{{ address = \"unix@{}\"{keys} }}", path.display());
    let mode = |path: &std::path::Path| std::fs::metadata(path).map(|found| found.mode() & 0o777).ok();
    let both =
        proxy().only_bind(&bind(&path, ", mode = \"620\", group = 0")).bind(&bind(&other, "")).server(&a);
    let mut proxy = both.start_in(directory);
    assert_eq!(mode(&path), Some(0o620));
    let front = format!("unix@{}", path.display());
    assert_eq!(get(&front, "/").text(), "a");
    // A reload changes who may connect without another socket.
    let inode = std::fs::metadata(&path).expect("it is there").ino();
    proxy.reload(&super::kit::proxy().only_bind(&bind(&path, ", mode = \"0666\"")).server(&a));
    assert_eq!((mode(&path), mode(&other)), (Some(0o666), None));
    assert_eq!(std::fs::metadata(&path).expect("it is there").ino(), inode);
    assert_eq!(get(&front, "/").text(), "a");
    assert!(proxy.terminate().success());
    assert_eq!(mode(&path), None);
}

#[test]
fn what_is_no_socket_of_its_own_stays_as_it_is() {
    let directory = Directory::new();
    let a = origin("a").unix(&directory.path("origin.sock")).start();
    let plain = directory.write("plain", "text");
    std::os::unix::fs::symlink(&plain, directory.path("link")).expect("a link");
    std::os::unix::fs::symlink(directory.path("nowhere"), directory.path("dangling")).expect("a link");
    for (name, why) in [
        ("plain", "is no socket"),
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("origin.sock", "in use"),
    ] {
        let front = format!("unix@{}", directory.path(name).display());
        let config = directory.write("lb.toml", proxy().only_bind(&front).server(&a).text());
        let (code, _, errors) = super::kit::run(&["run", config.to_str().expect("a path that is text")]);
        assert_eq!(code, 1, "{name}");
        assert!(errors.contains(&format!("cannot listen on {front}")) && errors.contains(why), "{errors}");
    }
    assert_eq!(std::fs::read_to_string(&plain).expect("it is there"), "text");
    assert!(!directory.path("nowhere").exists());
    let unknown = "{ address = \"unix@new.sock\", user = \"no-such-user\", group = \"no-such-group\" }";
    let config = directory.write("lb.toml", proxy().only_bind(unknown).server(&a).text());
    let (code, _, errors) = super::kit::run(&["check", config.to_str().expect("a path that is text")]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("no user `no-such-user`") && errors.contains("no group `no-such-group`"),
        "{errors}"
    );
}

#[test]
fn a_socket_of_the_parent_process_is_taken_over() {
    let directory = Directory::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    // Who comes before the program runs is served too: that is what such sockets are for.
    let mut early = client(&address);
    early.ask("GET", "/early", &[]);
    let a = origin("a").start();
    let setup = proxy().only_bind(&format!("fd@{INHERITED}")).server(&a);
    let config = directory.write("lb.toml", setup.text());
    let mut command = lb(&["run", config.to_str().expect("a path that is text")]);
    let socket = listener.as_raw_fd();
    // SAFETY: dup2 and fcntl are system calls and nothing else.
    unsafe {
        command.pre_exec(move || {
            let taken = if socket == INHERITED {
                libc::fcntl(socket, libc::F_SETFD, 0)
            } else {
                libc::dup2(socket, INHERITED)
            };
            if taken < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
    let mut process = Process::start(command);
    let (log, errors) = process.output();
    let proxy = Proxy::ready(process, log, errors, directory);
    assert_eq!(proxy.address(), address);
    assert_eq!(early.response().text(), "a");
    assert_eq!(get(&address, "/").text(), "a");
}

#[test]
fn ipv6_clients_are_served_and_told_of() {
    let Ok(_) = TcpListener::bind("[::1]:0") else { return };
    let a = origin("a").start();
    let proxy = proxy().only_bind("[::1]:0").frontend("forwardfor = true").server(&a).start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    assert_eq!(a.requests()[0].all("x-forwarded-for"), ["::1"]);
}

#[test]
fn an_address_in_use_is_an_error_of_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let directory = Directory::new();
    let setup = proxy().only_bind(&address).server_at("a", "127.0.0.1:1", "");
    let config = directory.write("lb.toml", setup.text());
    let (code, _, errors) = super::kit::run(&["run", config.to_str().expect("a path that is text")]);
    assert_eq!(code, 1);
    assert!(errors.contains(&format!("cannot listen on {address}")), "{errors}");
}

#[test]
fn systemd_is_told_when_everything_listens() {
    let directory = Directory::new();
    let notified = directory.path("notify.sock");
    let socket = UnixDatagram::bind(&notified).expect("a free path");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket can be so");
    let a = origin("a").start();
    let config = directory.write("lb.toml", proxy().server(&a).text());
    let mut command = lb(&["run", config.to_str().expect("a path that is text")]);
    command.env("NOTIFY_SOCKET", &notified);
    let mut process = Process::start(command);
    let (log, errors) = process.output();
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("a message");
    assert_eq!(&message[..length], b"READY=1\n");
    let proxy = Proxy::ready(process, log, errors, directory);
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

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

//! Listening sockets of the parent process: they alone can be taken over, by their numbers, whenever a configuration says
//! so; any other number is refused before it does harm.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::kit::{Directory, Process, Proxy, Setup, client, get, lb, origin, proxy, until};

/// Hands over descriptors, each by this number.
fn hand_over(command: &mut Command, descriptors: &[(RawFd, RawFd)]) {
    let descriptors = descriptors.to_vec();
    // SAFETY: fcntl and dup2 are system calls and nothing else.
    unsafe {
        command.pre_exec(move || {
            // First out of the way, so that none takes the place of another that is still to be handed over.
            let moved = descriptors.iter().map(|(own, _)| libc::fcntl(*own, libc::F_DUPFD_CLOEXEC, 200));
            let moved: [RawFd; 4] = {
                let mut all = [-1; 4];
                moved.zip(&mut all).for_each(|(from, to)| *to = from);
                all
            };
            for ((_, number), own) in descriptors.iter().zip(moved) {
                if libc::dup2(own, *number) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

fn start(setup: &Setup, descriptors: &[(RawFd, RawFd)]) -> Proxy {
    let directory = Directory::new();
    let config = directory.write("lb.toml", setup.text());
    let mut command = lb(&["run", config.to_str().expect("a path that is text")]);
    hand_over(&mut command, descriptors);
    let mut process = Process::start(command);
    let (log, errors) = process.output();
    Proxy::ready(process, log, errors, directory)
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

#[test]
fn no_number_of_the_programs_own_descriptors_can_be_taken_over_by_a_reload() {
    let a = origin("a").start();
    let mut proxy = proxy().server(&a).start();
    let address = proxy.address().to_owned();
    let mut kept = client(&address);
    for number in (0..64).chain([255, 1_000, i32::MAX]) {
        let said =
            proxy.hang_up(&super::kit::proxy().server(&a).bind(&format!("fd@{number}")), "error: file");
        assert!(said.contains(&format!("file descriptor {number} ")), "{said}");
        assert_eq!(kept.get("/").text(), "a");
        assert_eq!(get(&address, "/").text(), "a");
    }
    assert!(!proxy.process.has_ended());
    proxy.log.wait("was not handed over by the parent process");
    proxy.reload(&super::kit::proxy().server(&a).bind("127.0.0.2:0"));
    assert_eq!(get(&proxy.addresses[1], "/").text(), "a");
}

#[test]
fn a_check_and_a_start_refuse_them_too_and_show_the_line() {
    let directory = Directory::new();
    let setup = proxy().server_at("a", "127.0.0.1:1", "").bind("fd@60");
    let config = directory.write("lb.toml", setup.text());
    for command in ["check", "run"] {
        let (code, _, errors) = super::kit::run(&[command, config.to_str().expect("a path that is text")]);
        assert_eq!(code, 1);
        assert!(
            errors.contains("error: file descriptor 60 was not handed over by the parent process"),
            "{errors}"
        );
        assert!(errors.contains("\"fd@60\"") && errors.contains("^^^^^^^"), "{errors}");
        assert!(errors.contains("= help: no listening socket was"), "{errors}");
    }
}

#[test]
fn a_socket_that_was_handed_over_can_be_taken_given_up_and_taken_again() {
    let (listener, address) = listener();
    let a = origin("a").start();
    let plain = proxy().server(&a);
    let with = plain.clone().bind("fd@40");
    let mut proxy = start(&plain, &[(listener.as_raw_fd(), 40)]);
    for _ in 0..3 {
        // Who comes while nobody takes it over waits.
        let mut early = client(&address);
        early.ask("GET", "/early", &[]);
        proxy.reload(&with);
        assert!(proxy.addresses.contains(&address), "{:?}", proxy.addresses);
        assert_eq!(early.response().text(), "a");
        // The same again changes nothing.
        proxy.reload(&with);
        assert_eq!(early.get("/").text(), "a");
        assert_eq!(get(&address, "/").text(), "a");
        proxy.reload(&plain);
        early.expect_end();
        assert_eq!(get(proxy.address(), "/").text(), "a");
    }
    let twice = with.clone().bind("fd@40");
    proxy.hang_up(&twice, "the old one stays");
    let both = plain.clone().more(
        "[frontends.other]\nbind = \"fd@40\"\ndefault_backend = \"app\"\ntimeout = { client = \"5s\" }\n",
    );
    proxy.reload(&both);
    assert_eq!(get(&address, "/other").text(), "a");
    assert_eq!(proxy.exchange("/other").frontend, "other");
}

#[test]
fn two_numbers_of_one_socket_are_two_listeners() {
    let (listener, address) = listener();
    let a = origin("a").start();
    let setup = proxy().server(&a).only_bind("fd@40").bind("fd@41");
    let mut proxy = start(&setup, &[(listener.as_raw_fd(), 40), (listener.as_raw_fd(), 41)]);
    assert_eq!(get(&address, "/").text(), "a");
    proxy.reload(&super::kit::proxy().server(&a).only_bind("fd@41"));
    for _ in 0..8 {
        assert_eq!(get(&address, "/").text(), "a");
    }
}

#[test]
fn what_was_handed_over_and_is_no_listening_socket_is_refused_for_what_it_is() {
    let (listener, address) = listener();
    let connection = std::net::TcpStream::connect(&address).expect("it listens");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let descriptors = [
        (connection.as_raw_fd(), 40),
        (datagrams.as_raw_fd(), 41),
        (file.as_raw_fd(), 42),
        (listener.as_raw_fd(), 43),
    ];
    let a = origin("a").start();
    let mut proxy = start(&proxy().server(&a), &descriptors);
    for (number, what) in [(40, "a connection"), (41, "a socket for datagrams"), (42, "no socket")] {
        let setup = super::kit::proxy().server(&a).bind(&format!("fd@{number}"));
        let said = proxy.hang_up(&setup, &format!("file descriptor {number} is {what}"));
        assert!(said.contains("not a listening socket"), "{said}");
        proxy.log.wait(&format!("`fd@43` ({address})"));
        assert_eq!(get(proxy.address(), "/").text(), "a");
    }
}

#[test]
fn systemds_sockets_are_those_that_it_counts_and_another_process_is_named() {
    let (listener, address) = listener();
    let (a, directory) = (origin("a").start(), Directory::new());
    let config = directory.write("lb.toml", proxy().server(&a).only_bind("fd@3").text());
    // As systemd starts it: the number is that of the program, which only the shell in its place knows.
    let mut command = Command::new("sh");
    command.arg("-c").arg("LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" run \"$1\"");
    command.arg(env!("CARGO_BIN_EXE_lb")).arg(&config);
    command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    hand_over(&mut command, &[(listener.as_raw_fd(), 3)]);
    let mut process = Process::start(command);
    let (log, errors) = process.output();
    let proxy = Proxy::ready(process, log, errors, directory);
    assert_eq!(get(&address, "/").text(), "a");

    let config =
        proxy.directory.write("other.toml", super::kit::proxy().server(&a).only_bind("fd@40").text());
    let mut command = lb(&["check", config.to_str().expect("a path that is text")]);
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("for process 1,"), "{errors}");
    until("it goes on", || (get(&address, "/").text() == "a").then_some(()));
}

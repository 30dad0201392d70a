//! Bodies of any size pass in constant memory.

use std::fs;
use std::io;

use super::kit::{Client, Directory, Message, Next, Proxy, Wire, client, get, origin, proxy};

const MEGABYTE: usize = 1 << 20;
/// The size of one body.
const BODY: usize = 20 * MEGABYTE;
const PIECE: usize = MEGABYTE / 16;
/// How many of them pass, half of them each way.
const BODIES: usize = 16;
/// How much more memory than at rest the process may use meanwhile.
const ALLOWANCE: u64 = 32 * MEGABYTE as u64;
/// How many clients stall.
const STALLED: usize = 20;

#[test]
fn hundreds_of_megabytes_pass_in_constant_memory() {
    let a = origin("a")
        .script("/up", |request, wire| {
            let length = request.header("content-length").and_then(|length| length.parse().ok());
            assert_eq!(length, Some(BODY));
            take(wire)?;
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").map(|()| Next::Keep)
        })
        .script("/down", |_, wire| {
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"))?;
            give(wire).map(|()| Next::Keep)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    assert_eq!(client.get("/").text(), "a");
    let before = rest(&proxy);
    for _ in 0..BODIES / 2 {
        upload(&mut client);
        client.ask("GET", "/down", &[]);
        assert_eq!(client.head().header("content-length"), Some(BODY.to_string().as_str()));
        take(&mut client.wire).expect("a whole body");
    }
    let peak = memory(&proxy, "VmHWM:");
    assert!(peak <= before + ALLOWANCE, "{before} bytes at rest, {peak} at the peak");
}

#[test]
fn a_large_body_passes_whole_between_unix_sockets() {
    let directory = Directory::new();
    let a = origin("a")
        .script("/up", |_, wire| {
            take(wire)?;
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole").map(|()| Next::Keep)
        })
        .unix(&directory.path("origin.sock"))
        .start();
    let front = format!("unix@{}", directory.path("front.sock").display());
    let proxy = proxy().only_bind(&front).server(&a).start_in(directory);
    let mut client = client(&front);
    upload(&mut client);
    upload(&mut client);
    drop(proxy);
}

#[test]
fn a_connection_that_carried_a_large_body_is_used_again_unless_more_came_than_the_body() {
    let down = |more: &'static str| {
        move |_: &mut Message, wire: &mut Wire| {
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"))?;
            give(wire)?;
            wire.write(more).map(|()| Next::Keep)
        }
    };
    let a = origin("a").script("/down", down("")).script("/more", down("HTTP/1.1 200 OK\r\n\r\n")).start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    for (path, connections) in [("/down", 1), ("/down", 1), ("/more", 1), ("/down", 2)] {
        client.ask("GET", path, &[]);
        client.head();
        take(&mut client.wire).expect("a whole body");
        proxy.exchange(path);
        assert_eq!(a.connections(), connections, "{path}");
    }
}

#[test]
fn a_large_body_that_breaks_off_is_no_whole_one_and_its_bytes_are_counted() {
    let a = origin("a")
        .script("/cut", |_, wire| {
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"))?;
            pieces().take(16).try_for_each(|piece| wire.write(piece)).map(|()| Next::Close)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut client = client(proxy.address());
    client.ask("GET", "/cut", &[]);
    let head = client.head();
    let came = client.wire.read_to_end().expect("what came before the end");
    assert_eq!(came.len(), 16 * PIECE);
    let logged = proxy.exchange("/cut");
    assert_eq!((logged.state.as_str(), logged.status), ("SD--", 200));
    assert!(logged.bytes > came.len() as u64, "the head counts too: {head:?}, {}", logged.bytes);
}

#[test]
fn a_client_that_leaves_a_large_body_costs_the_server_its_connection_and_no_more() {
    let a = origin("a")
        .script("/down", |_, wire| {
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"))?;
            give(wire).map(|()| Next::Keep)
        })
        .start();
    let proxy = proxy().server(&a).start();
    let mut leaving = client(proxy.address());
    leaving.ask("GET", "/down", &[]);
    leaving.wire.exactly(PIECE).expect("a part of it");
    drop(leaving);
    assert_eq!(proxy.exchange("/down").state, "CD--");
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn clients_that_stall_hold_no_pipes() {
    let a = origin("a").script("/up", |_, wire| take(wire).map(|()| Next::Close)).start();
    let proxy = proxy().global("nbthread = 1").server(&a).start();
    let before = pipe_ends(&proxy);
    let stalled = |_| {
        let mut client = client(proxy.address());
        client.send(format!("POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: {BODY}\r\n\r\nbegun"));
        client
    };
    let _stalled: Vec<Client> = (0..STALLED).map(stalled).collect();
    a.wait_for_requests(STALLED);
    // What is said behind them shows that they have been read as far as they go.
    assert_eq!(client(proxy.address()).get("/").text(), "a");
    let ends = pipe_ends(&proxy) - before;
    assert!(ends <= 2, "{ends} ends of pipes for {STALLED} clients");
}

/// How many ends of pipes the process has open.
fn pipe_ends(proxy: &Proxy) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", proxy.process.id())).expect("/proc is there");
    let leads = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    leads.filter(|path| path.to_string_lossy().starts_with("pipe:")).count()
}

fn upload(client: &mut Client) {
    client.ask("PUT", "/up", &[("content-length", &BODY.to_string())]);
    give(&mut client.wire).expect("the body is taken");
    assert_eq!(client.response().text(), "whole");
}

/// The pieces of a body; what is in one depends on where it stands.
fn pieces() -> impl Iterator<Item = Vec<u8>> {
    (0..BODY / PIECE).map(|number| vec![(number % 251) as u8; PIECE])
}

fn give(wire: &mut Wire) -> io::Result<()> {
    pieces().try_for_each(|piece| wire.write(piece))
}

fn take(wire: &mut Wire) -> io::Result<()> {
    pieces().enumerate().try_for_each(|(number, piece)| {
        let came = wire.exactly(PIECE)?;
        if came == piece {
            Ok(())
        } else {
            Err(io::Error::other(format!("piece {number} is not as it was sent")))
        }
    })
}

/// The memory in use now, and from where the peak is counted.
fn rest(proxy: &Proxy) -> u64 {
    // 5 has the kernel forget the peak so far: that of compiling the policies.
    fs::write(format!("/proc/{}/clear_refs", proxy.process.id()), "5").expect("the peak can be reset");
    memory(proxy, "VmRSS:")
}

fn memory(proxy: &Proxy, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

//! Bodies of any size pass in constant memory.

use std::fs;
use std::io;

use super::kit::{Client, Next, Proxy, Wire, client, origin, proxy};

const MEGABYTE: usize = 1 << 20;
/// The size of one body.
const BODY: usize = 20 * MEGABYTE;
const PIECE: usize = MEGABYTE / 16;
/// How many of them pass, half of them each way.
const BODIES: usize = 16;
/// How much more memory than at rest the process may use meanwhile.
const ALLOWANCE: u64 = 32 * MEGABYTE as u64;

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

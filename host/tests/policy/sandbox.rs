//! Languages that expect WASI get it, with nothing behind it.

use lb_host::policy::FaultKind;

use super::guest::Guest;
use super::scene::{Scene, logged};

/// WASI 0.2.3, as much of it as is tried here; the texts are those of its own packages.
const WASI: &str = "
package wasi:io@0.2.3 {
  interface error { resource error { to-debug-string: func() -> string; } }
  interface poll {
    resource pollable { ready: func() -> bool; block: func(); }
    poll: func(in: list<borrow<pollable>>) -> list<u32>;
  }
  interface streams {
    use error.{error};
    use poll.{pollable};
    variant stream-error { last-operation-failed(error), closed }
    resource input-stream {
      read: func(len: u64) -> result<list<u8>, stream-error>;
      subscribe: func() -> pollable;
    }
    resource output-stream {
      check-write: func() -> result<u64, stream-error>;
      write: func(contents: list<u8>) -> result<_, stream-error>;
      blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
    }
  }
}
package wasi:clocks@0.2.3 {
  interface wall-clock {
    record datetime { seconds: u64, nanoseconds: u32 }
    now: func() -> datetime;
    resolution: func() -> datetime;
  }
  interface monotonic-clock {
    use wasi:io/poll@0.2.3.{pollable};
    now: func() -> u64;
    subscribe-duration: func(when: u64) -> pollable;
  }
}
package wasi:random@0.2.3 {
  interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
  interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
}
package wasi:filesystem@0.2.3 {
  interface types { resource descriptor { sync: func(); } }
  interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
}
package wasi:sockets@0.2.3 {
  interface network { resource network; }
  interface instance-network { use network.{network}; instance-network: func() -> network; }
}
package wasi:cli@0.2.3 {
  interface environment {
    get-environment: func() -> list<tuple<string, string>>;
    get-arguments: func() -> list<string>;
    initial-cwd: func() -> option<string>;
  }
  interface exit { exit: func(status: result); }
  interface stdin { use wasi:io/streams@0.2.3.{input-stream}; get-stdin: func() -> input-stream; }
  interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
  interface terminal-output { resource terminal-output; }
  interface terminal-stderr {
    use terminal-output.{terminal-output};
    get-terminal-stderr: func() -> option<terminal-output>;
  }
}
";

pub(crate) fn wasi(imports: &str) -> Guest {
    let imports: String =
        imports.split_whitespace().map(|name| format!("import wasi:{name}@0.2.3;\n")).collect();
    Guest::balancer().extra_imports(WASI, &imports)
}

#[test]
fn a_policy_finds_clocks_and_random_numbers_and_nothing_else() {
    let guest = wasi(
        "cli/environment cli/stdin cli/terminal-stderr clocks/wall-clock clocks/monotonic-clock io/poll
         random/random random/insecure-seed filesystem/preopens io/streams",
    )
    .import("wasi:cli/environment@0.2.3", "get-environment", "(func $environment (param i32))")
    .import("wasi:cli/environment@0.2.3", "get-arguments", "(func $arguments (param i32))")
    .import("wasi:cli/environment@0.2.3", "initial-cwd", "(func $cwd (param i32))")
    .import("wasi:filesystem/preopens@0.2.3", "get-directories", "(func $directories (param i32))")
    .import("wasi:cli/terminal-stderr@0.2.3", "get-terminal-stderr", "(func $terminal (param i32))")
    .import("wasi:cli/stdin@0.2.3", "get-stdin", "(func $stdin (result i32))")
    .import("wasi:io/streams@0.2.3", "[method]input-stream.read", "(func $read (param i32 i64 i32))")
    .import("wasi:clocks/wall-clock@0.2.3", "now", "(func $now (param i32))")
    .import("wasi:clocks/monotonic-clock@0.2.3", "now", "(func $ticks (result i64))")
    .import("wasi:clocks/monotonic-clock@0.2.3", "subscribe-duration", "(func $after (param i64) (result i32))")
    .import("wasi:io/poll@0.2.3", "[method]pollable.block", "(func $block (param i32))")
    .import("wasi:io/poll@0.2.3", "poll", "(func $poll (param i32 i32 i32))")
    .import("wasi:random/random@0.2.3", "get-random-bytes", "(func $bytes (param i64 i32))")
    .import("wasi:random/random@0.2.3", "get-random-u64", "(func $random (result i64))")
    .import("wasi:random/insecure-seed@0.2.3", "insecure-seed", "(func $seed (param i32))")
    .items(
        "(func $sure (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
         (func $empty (param $at i32) (call $sure (i32.eqz (i32.load (i32.add (local.get $at) (i32.const 4))))))",
    )
    .body(
        "configure",
        "(local $pollable i32)
         (call $environment (i32.const 0x4000)) (call $empty (i32.const 0x4000))
         (call $arguments (i32.const 0x4000)) (call $empty (i32.const 0x4000))
         (call $directories (i32.const 0x4000)) (call $empty (i32.const 0x4000))
         (call $cwd (i32.const 0x4000)) (call $sure (i32.eqz (i32.load8_u (i32.const 0x4000))))
         (call $terminal (i32.const 0x4000)) (call $sure (i32.eqz (i32.load8_u (i32.const 0x4000))))
         (call $read (call $stdin) (i64.const 10) (i32.const 0x4000))
         (call $sure (i32.eq (i32.load8_u (i32.const 0x4000)) (i32.const 1)))
         (call $sure (i32.eq (i32.load8_u (i32.const 0x4004)) (i32.const 1)))
         (call $now (i32.const 0x4000)) (call $sure (i64.gt_u (i64.load (i32.const 0x4000)) (i64.const 1700000000)))
         (call $sure (i64.le_u (call $ticks) (call $ticks)))
         (local.set $pollable (call $after (i64.const 3600000000000)))
         (call $block (local.get $pollable))
         (i32.store (i32.const 0x4100) (local.get $pollable))
         (call $poll (i32.const 0x4100) (i32.const 1) (i32.const 0x4000))
         (call $sure (i32.eq (i32.load (i32.const 0x4004)) (i32.const 1)))
         (call $bytes (i64.const 32) (i32.const 0x4000))
         (call $sure (i32.eq (i32.load (i32.const 0x4004)) (i32.const 32)))
         (call $sure (i64.ne (call $random) (call $random)))
         (call $seed (i32.const 0x4000))
         (i32.const 0x100)",
    );
    let scene = Scene::balanced(&[&guest], 2);
    assert_eq!(scene.worker().picks(&scene, 2), [0, 1]);
    assert_eq!((scene.metrics().decisions, scene.metrics().faults()), (2, 0));
}

#[test]
fn what_a_policy_prints_is_in_the_log() {
    let guest = wasi("cli/stderr io/streams")
        .import("wasi:cli/stderr@0.2.3", "get-stderr", "(func $stderr (result i32))")
        .import(
            "wasi:io/streams@0.2.3",
            "[method]output-stream.blocking-write-and-flush",
            "(func $write (param i32 i32 i32 i32))",
        )
        .data(super::guest::DATA, "panicked at\\0aline two\\0a")
        .body(
            "pick",
            "(call $write (call $stderr) (i32.const 0x4000) (i32.const 21) (i32.const 0x4100)) (call $none)",
        );
    let scene = Scene::balanced(&[&guest], 2);
    let mut worker = scene.worker();
    let log = logged(|| assert!(worker.pick(&scene).is_some()));
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("WARN lb::policy: panicked at policy=probe backend=test"), "{log}");
    assert!(lines[1].contains("line two"), "{log}");
}

#[test]
fn exit_is_a_trap() {
    let guest = wasi("cli/exit")
        .import("wasi:cli/exit@0.2.3", "exit", "(func $exit (param i32))")
        .body("pick", "(if (local.get $retry) (then (call $exit (i32.const 0)))) (call $some (i32.const 1))");
    let scene = Scene::balanced(&[&guest], 2);
    let mut worker = scene.worker();
    let log = logged(|| {
        worker.balancer.pick(&worker.request, super::scene::CLIENT, scene.time_ms, Some(0));
    });
    assert_eq!(scene.faults(FaultKind::Trap), 1);
    assert!(log.contains("wasi:cli/exit"), "{log}");
}

#[test]
fn what_a_policy_cannot_have_traps_when_called_and_not_before() {
    let guest = wasi("sockets/instance-network")
        .import("wasi:sockets/instance-network@0.2.3", "instance-network", "(func $network (result i32))")
        .body("pick", "(if (local.get $retry) (then (drop (call $network)))) (call $some (i32.const 1))");
    let scene = Scene::balanced(&[&guest], 2);
    let mut worker = scene.worker();
    assert_eq!(worker.pick(&scene), Some(1));
    let log = logged(|| {
        worker.balancer.pick(&worker.request, super::scene::CLIENT, scene.time_ms, Some(0));
    });
    assert!(log.contains("wasi:sockets/instance-network@0.2.3#instance-network"), "{log}");
}

//! Core modules of languages that know only WASI's first version get it, with nothing behind it.

use super::guest::{DATA, Guest};
use super::scene::{Scene, logged};

/// A module without a type that imports functions of WASI's first version: name and type of each.
fn preview1(imports: &[(&str, &str)]) -> Guest {
    let guest = Guest::balancer().without_type();
    imports.iter().fold(guest, |guest, (name, signature)| {
        guest.import("wasi_snapshot_preview1", name, &format!("(func ${name} {signature})"))
    })
}

#[test]
fn the_adapter_is_what_its_text_says() {
    let text = include_str!("../../src/policy/core_module/preview1.wat");
    let built = include_bytes!("../../src/policy/core_module/preview1.wasm");
    assert!(wat::parse_str(text).expect("it assembles") == built, "assemble preview1.wat anew");
}

#[test]
fn a_module_finds_a_clock_and_random_bytes_and_nothing_else() {
    let guest = preview1(&[
        ("args_sizes_get", "(param i32 i32) (result i32)"),
        ("environ_sizes_get", "(param i32 i32) (result i32)"),
        ("clock_time_get", "(param i32 i64 i32) (result i32)"),
        ("random_get", "(param i32 i32) (result i32)"),
        ("fd_prestat_get", "(param i32 i32) (result i32)"),
        ("poll_oneoff", "(param i32 i32 i32 i32) (result i32)"),
    ])
    .items(
        "(func $sure (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
         (func $zero (param i32) (call $sure (i32.eqz (local.get 0))))",
    )
    .body(
        "configure",
        "(i64.store (i32.const 0x4000) (i64.const -1))
         (call $zero (call $args_sizes_get (i32.const 0x4000) (i32.const 0x4004)))
         (call $sure (i64.eqz (i64.load (i32.const 0x4000))))
         (call $zero (call $environ_sizes_get (i32.const 0x4000) (i32.const 0x4004)))
         (call $zero (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 0x4000)))
         (call $zero (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 0x4008)))
         (call $sure (i64.lt_u (i64.load (i32.const 0x4000)) (i64.load (i32.const 0x4008))))
         (call $zero (call $random_get (i32.const 0x4000) (i32.const 16)))
         (call $sure (i64.ne (i64.load (i32.const 0x4000)) (i64.load (i32.const 0x4008))))
         (call $sure (i32.eq (call $fd_prestat_get (i32.const 3) (i32.const 0x4000)) (i32.const 8)))
         (i64.store (i32.const 0x4100) (i64.const 77))
         (call $zero (call $poll_oneoff (i32.const 0x4100) (i32.const 0x4200) (i32.const 1) (i32.const 0x4000)))
         (call $sure (i64.eq (i64.load (i32.const 0x4200)) (i64.const 77)))
         (i32.const 0x100)",
    );
    let scene = Scene::balanced(&[&guest], 2);
    assert_eq!(scene.worker().picks(&scene, 2), [0, 1]);
    assert_eq!((scene.metrics().decisions, scene.metrics().faults()), (2, 0));
}

#[test]
fn what_a_module_prints_is_in_the_log() {
    let guest = preview1(&[("fd_write", "(param i32 i32 i32 i32) (result i32)")])
        .data(DATA, "panic: no such key")
        .body(
            "pick",
            "(i32.store (i32.const 0x4100) (i32.const 0x4000)) (i32.store (i32.const 0x4104) (i32.const 18))
             (drop (call $fd_write (i32.const 2) (i32.const 0x4100) (i32.const 1) (i32.const 0x4200)))
             (if (i32.ne (i32.load (i32.const 0x4200)) (i32.const 18)) (then unreachable))
             (call $none)",
        );
    let scene = Scene::balanced(&[&guest], 2);
    let mut worker = scene.worker();
    let log = logged(|| assert!(worker.pick(&scene).is_some()));
    assert!(log.contains("WARN lb::policy: panic: no such key policy=probe backend=test"), "{log}");
}
